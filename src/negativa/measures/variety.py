"""Variety: how many different pictures an arm holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from negativa.measures.measure import Shot
from negativa.measures.pairwise import Pairwise
from negativa.measures.reading import similarity


@dataclass(frozen=True)
class Variety(Pairwise):
    """Vendi score: the effective number of different pictures, 1 (all alike) to n (nothing in common).

    Friedman & Dieng 2023, arXiv 2210.02410, definition 3.1: exp of the entropy of the eigenvalues of K / n. K holds the
    cosines of what terrarium's reader sees, or of the colours in 16x16 squares for other models. It grows with n: compare
    arms of equal n.
    """

    name: ClassVar = "variety"
    unit: ClassVar = "effective number of different pictures"
    better: ClassVar = "more"

    def matrix(self, shots: Sequence[Shot]) -> np.ndarray:
        return similarity(shots)

    def of(self, matrix: np.ndarray) -> float:
        return vendi(matrix)


def vendi(kernel: np.ndarray) -> float:
    """The Vendi score of similarities (n, n): symmetric, positive semidefinite, ones on the diagonal."""
    shares = np.linalg.eigvalsh(kernel / len(kernel))
    shares = shares[shares > 1e-12]
    return float(np.exp(-(shares * np.log(shares)).sum()))
