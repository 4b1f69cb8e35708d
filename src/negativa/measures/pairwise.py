"""Measures over whole arms that need no more of the pictures than a number for every two of them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from negativa.measures.measure import Measure, Shot
from negativa.measures.pictures import several


class Pairwise(Measure):
    """What is worked out once for every two pictures (`matrix`) serves all pictures, and all but any one (`of`)."""

    over: ClassVar = "arm"

    @abstractmethod
    def matrix(self, shots: Sequence[Shot]) -> np.ndarray:
        """A number for every two pictures, (pictures, pictures), symmetric."""

    @abstractmethod
    def of(self, matrix: np.ndarray) -> float:
        """The score of the pictures that such numbers are of."""

    def score(self, shots: Sequence[Shot]) -> list[float]:
        several(self, shots)
        return [self.of(self.matrix(shots))]

    def leaving_out(self, shots: Sequence[Shot]) -> list[float]:
        whole = self.matrix(shots)
        return [self.of(np.delete(np.delete(whole, i, 0), i, 1)) for i in range(len(shots))]
