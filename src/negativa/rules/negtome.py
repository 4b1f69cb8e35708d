"""Negative token merging: inside the network, every position moves away from the one most like it under the negative.

    h = h + a sum_i w_i (h - r_i)        where cos(h, r_i) > threshold

h is a position of the picture after a block on the way up, or after any block of Stable Diffusion 3 and Flux; r_i, among those
of the network under a negative of weight w_i, the one whose cosine with h is largest; a is the `push`. Singh et al. 2024,
arXiv 2412.01339, whose r are of another picture; here they are of the same noisy picture under the negative. The search is
along the positions of r (the published code searches along those of h, which is the same for a symmetric match alone). Defaults
are those for SDXL; for Flux they are threshold 0.65 and until 0.1. The scale guides away from nothing as in cfg, whose pass is
left as it is.
Cost: 1 + k passes at scale 1 with k negatives, otherwise 2 + k.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from negativa.plain.knobs import knob
from negativa.rules.attended import Attended


@dataclass(frozen=True)
class NegativeTokenMerging(Attended):
    """`scale` guides the prompt, away from nothing; the negatives act inside the network in the prompt's pass alone."""

    until: float = knob(0.2, 0.0, 1.0, "Share of the steps after which the negatives no longer act.")
    push: float = knob(0.9, -10.0, 10.0, "How far away from the most similar position under a negative.")
    threshold: float = knob(0.7, -1.0, 1.0, "Cosine from which a position counts as similar.")

    patch: ClassVar[str] = "negtome"
    rows_each: ClassVar[int] = 1
