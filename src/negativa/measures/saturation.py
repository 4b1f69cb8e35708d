"""Saturation: how colourful a picture is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from negativa.measures.measure import Measure, Shot
from negativa.measures.pictures import pixels


@dataclass(frozen=True)
class Saturation(Measure):
    """Mean chroma, the largest less the smallest of red, green and blue: 0 (grays) to 1 (pure colours).

    It is the chroma of the HSV hexcone before it is divided by the value, so that dark noise does not count as colour. High
    guidance scales raise it; neither way is good in itself.
    """

    name: ClassVar = "saturation"
    unit: ClassVar = "mean of the largest less the smallest channel, channels from 0 to 1"
    better: ClassVar = "neither"

    def score(self, shots: Sequence[Shot]) -> list[float]:
        return [float(np.ptp(pixels(shot.image), axis=2).mean() / 255) for shot in shots]
