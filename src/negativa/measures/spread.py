"""Spread: how far apart the pictures of an arm are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from negativa.measures.measure import Measure, Shot
from negativa.measures.pictures import several
from negativa.measures.reading import similarity


@dataclass(frozen=True)
class Spread(Measure):
    """Mean distance of any two pictures of an arm, 0 (all alike) to 2.

    The distance is one minus the cosine of what terrarium's reader sees, or of the colours in 16x16 squares for other models.
    """

    name: ClassVar = "spread"
    unit: ClassVar = "1 - cosine, mean over pairs"
    better: ClassVar = "more"
    over: ClassVar = "arm"

    def score(self, shots: Sequence[Shot]) -> list[float]:
        upper = np.triu_indices(len(several(self, shots)), 1)
        return [float(1 - similarity(shots)[upper].mean())]
