"""Contrast: how far brightness spreads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from negativa.measures.measure import Measure, Shot
from negativa.measures.pictures import luma


@dataclass(frozen=True)
class Contrast(Measure):
    """Standard deviation of luma, 0 (one gray) to 0.5 (half black, half white).

    RMS contrast: Peli 1990, "Contrast in complex images". High guidance scales raise it; neither way is good in itself.
    """

    name: ClassVar = "contrast"
    unit: ClassVar = "standard deviation of luma, luma from 0 to 1"
    better: ClassVar = "neither"

    def score(self, shots: Sequence[Shot]) -> list[float]:
        return [float(luma(shot.image).std() / 255) for shot in shots]
