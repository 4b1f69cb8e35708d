"""What long work says while it goes on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """Where a part of the work stands; `loss` is the last step's, None where nothing is learned."""

    part: str
    step: int
    steps: int
    loss: float | None = None


@dataclass(frozen=True)
class Notice:
    """A sentence for the person: what was left out, and why."""

    text: str
