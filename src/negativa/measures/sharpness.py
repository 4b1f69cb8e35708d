"""Sharpness: how much brightness bends from pixel to pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from negativa.measures.measure import Measure, Shot
from negativa.measures.pictures import luma


@dataclass(frozen=True)
class Sharpness(Measure):
    """Variance of the Laplacian of luma (0 to 255); blur lowers it, noise and hard edges raise it.

    The kernel is 0 1 0, 1 -4 1, 0 1 0, pictures are mirrored at their edges: Pech-Pacheco et al. 2000, "Diatom
    autofocusing in brightfield microscopy", section 2.4, as OpenCV computes it. It grows with contrast and shrinks with
    enlargement, so compare pictures of one size.
    """

    name: ClassVar = "sharpness"
    unit: ClassVar = "variance of the Laplacian of luma, luma from 0 to 255"
    better: ClassVar = "neither"

    def score(self, shots: Sequence[Shot]) -> list[float]:
        from scipy.ndimage import laplace

        return [float(laplace(luma(shot.image), mode="mirror").var()) for shot in shots]
