"""Smoothed energy guidance: away from the prompt's prediction by a network whose attention is blurred.

    start  = (1 - k) b + k p
    guided = start + s (c - start)

c is the prediction under the prompt, p the same with the queries of self-attention in the middle of the network blurred by a
Gaussian of the width `sigma`, in positions there; b the baseline, which the negatives move (see cfg), s the scale, k the
`share`. Hong 2024, arXiv 2408.00760, which writes c + s'' (c - p): scale 1 + s'', share 1; its 3 is scale 4. Its
infinite blur is the default. A negative of quality, without words.
Cost: one pass more than cfg; 2 at share 1, 1 at scale 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from negativa.plain.knobs import knob
from negativa.rules.worse import Worse


@dataclass(frozen=True)
class SmoothedEnergy(Worse):
    """`scale`: 1 is the prompt alone; all negatives act through the baseline, at any share below 1."""

    sigma: float = knob(1e4, 0.1, 1e4, "Width of the blur; 10000 makes every position ask the same.")

    patch: ClassVar[str | None] = "seg"
