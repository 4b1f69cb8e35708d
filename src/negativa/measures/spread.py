"""Spread: how far apart the pictures of an arm are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from negativa.measures.measure import Shot
from negativa.measures.pairwise import Pairwise
from negativa.measures.reading import similarity


@dataclass(frozen=True)
class Spread(Pairwise):
    """Mean distance of any two pictures of an arm, 0 (all alike) to 2.

    The distance is one minus the cosine of what terrarium's reader sees, or of the colours in 16x16 squares for other models.
    """

    name: ClassVar = "spread"
    unit: ClassVar = "1 - cosine, mean over pairs"
    better: ClassVar = "more"

    def matrix(self, shots: Sequence[Shot]) -> np.ndarray:
        return similarity(shots)

    def of(self, matrix: np.ndarray) -> float:
        return float(1 - matrix[np.triu_indices(len(matrix), 1)].mean())
