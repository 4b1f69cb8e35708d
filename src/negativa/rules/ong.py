"""Orthogonal negative guidance: inside attention, away from what the negatives read and the prompt does not.

    out = Z - lambda sum_i w_i (Z_i - proj_Z Z_i)

Z is what attention reads out for the picture under the prompt, Z_i under a negative of weight w_i, lambda the `push`. The
scale guides away from nothing as in cfg. Ko et al. 2026, arXiv 2605.29390, of which the abstract alone was at hand: that it
projects position by position, and the default, are our reading. Cost: 1 pass at scale 1, otherwise 2, and the reading of each
negative (see nag).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from negativa.plain.knobs import knob
from negativa.rules.attended import Attended


@dataclass(frozen=True)
class OrthogonalAttention(Attended):
    """`scale` guides the prompt, away from nothing; the negatives act in the attention of the prompt's pass alone."""

    push: float = knob(1.0, -100.0, 100.0, "How far away from what the negatives read and the prompt does not.")

    patch: ClassVar[str] = "ong"
