"""What a study's store hands out: a picture, a failure, a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Picture:
    """A finished picture: its arm, its seed, the SHA-256 of its file (64 hexadecimal digits), its receipt's values."""

    arm: str
    seed: int
    hash: str
    receipt: Mapping[str, Any]


@dataclass(frozen=True)
class Failure:
    """Why an arm has no picture of a seed, or (`seed` None) no score of a measure."""

    arm: str
    seed: int | None
    sentence: str


@dataclass(frozen=True)
class Run:
    """A time that pictures were made: when (UTC, ISO 8601), seconds until the last one was kept, how many, and where."""

    begun: str
    seconds: float
    pictures: int
    machine: str
