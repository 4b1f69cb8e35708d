"""What long work says while it goes on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


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


@dataclass(frozen=True, kw_only=True)
class Trained(ABC):
    """The end of a training: the `file` of what `name` now means, how a negative says it (`used`), and what decided it.

    `words` is the negative in words that it stands for, if there is one.
    """

    file: Path
    name: str
    used: str
    about: Mapping[str, Any]
    words: str = ""

    @abstractmethod
    def arms(self, folder: Path) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """What in a recipe uses it as a negative, and the same untrained; what that needs is written into the folder.

        Raises `OutputError` if it cannot be.
        """
