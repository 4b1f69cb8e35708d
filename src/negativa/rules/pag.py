"""Perturbed attention guidance: away from the prompt's prediction by a network whose positions see themselves alone.

    start  = (1 - k) b + k p
    guided = start + s (c - start)

c is the prediction under the prompt, p the same with self-attention in the middle of the network turned into the identity (in
Stable Diffusion 3, whose positions see the text as well, in the block that an example of diffusers takes), b the baseline,
which the negatives move (see cfg), s the scale, k the `share`. Ahn et al. 2024, arXiv 2403.17377, which write u + s' (c - u) +
s'' (c - p): that is s = s' + s'' and k = s'' / (s' + s'' - 1); their 4 and 3 are scale 7, share 0.5, their 5 without other
guidance scale 6, share 1. A negative of quality, without words. Cost: one pass more than cfg; 2 at share 1, 1 at scale 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from negativa.rules.worse import Worse


@dataclass(frozen=True)
class PerturbedAttention(Worse):
    """`scale`: 1 is the prompt alone; all negatives act through the baseline, at any share below 1."""

    patch: ClassVar[str | None] = "pag"
