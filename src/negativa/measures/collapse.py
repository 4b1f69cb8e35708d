"""Collapse: whether different seeds give the same picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from negativa.measures.measure import Shot
from negativa.measures.pairwise import Pairwise
from negativa.measures.reading import squares

SQUARES: Final = 32  # a side
ALIKE: Final = 0.03  # root mean square difference of colours, 0 to 1


@dataclass(frozen=True)
class Collapse(Pairwise):
    """Share of an arm's pictures (0 to 1) that have a near-identical twin of another seed.

    Two pictures are near-identical if the mean colours of 32x32 squares differ by less than 0.03 (root mean square, colours
    from 0 to 1). A picture saved again as a JPEG differs by 0.01, moved by one of 128 pixels by 0.02, by 0.035 where hair is
    black and the wall bright; two paintings of terrarium that agree in every attribute by 0.04 and more, 0.11 in the middle.
    """

    name: ClassVar = "collapse"
    unit: ClassVar = "share of pictures with a twin"
    better: ClassVar = "less"

    def matrix(self, shots: Sequence[Shot]) -> np.ndarray:
        rows = np.stack([squares(shot.image, SQUARES).ravel() for shot in shots])
        apart = np.stack([np.sqrt(((rows - row) ** 2).mean(axis=1)) for row in rows])
        np.fill_diagonal(apart, np.inf)
        return apart

    def of(self, matrix: np.ndarray) -> float:
        return float((matrix.min(axis=1) < ALIKE).mean())
