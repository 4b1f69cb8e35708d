"""Clipping: how much of a picture has run out of range."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from negativa.measures.measure import Measure, Shot
from negativa.measures.pictures import pixels


@dataclass(frozen=True)
class Clipping(Measure):
    """Share of pixels (0 to 1) of which red, green or blue is 0 or 255: there, detail is lost."""

    name: ClassVar = "clipping"
    unit: ClassVar = "share of pixels"
    better: ClassVar = "less"

    def score(self, shots: Sequence[Shot]) -> list[float]:
        return [float(np.isin(pixels(shot.image), (0, 255)).any(axis=2).mean()) for shot in shots]
