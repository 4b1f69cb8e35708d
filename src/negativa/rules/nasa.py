"""Negative-away steer attention: what the negatives read out of the picture is taken off what the prompt reads.

    out = Z - a sum_i w_i Z_i

Z is what attention reads out for the picture under the prompt, Z_i under a negative of weight w_i, a the `push`. The scale
guides away from nothing as in cfg. Nguyen et al. 2024, arXiv 2412.02687, for models of one step; it shrinks what is read, since
the coefficients sum to less than one. Cost: 1 pass at scale 1, otherwise 2, and the reading of each negative (see nag).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from negativa.plain.knobs import knob
from negativa.rules.attended import Attended


@dataclass(frozen=True)
class NegativeAway(Attended):
    """`scale` guides the prompt, away from nothing; the negatives act in the attention of the prompt's pass alone."""

    push: float = knob(0.3, -10.0, 10.0, "Share of the negatives' reading that is taken off; 0 to 1 in the paper.")

    patch: ClassVar[str] = "nasa"
