"""Contrastive guidance (CCFG), its negative half: away from a negative while it is near, and less the further it is.

    L_i    = 2 exp(-tau r_i) / (1 + exp(-tau r_i))        r_i = 16384 mean((n_i - u)^2)
    guided = u + s (c - u) - s sum_i w_i L_i (n_i - u)

c, u, n_i are the predictions under the prompt, under nothing and under each negative that acts at this step; s is the
scale, w_i the weight of a negative, L_i between 0 and 1. Chang, Chung & Ye 2024, arXiv 2411.17077, section 4. Their r_i
is the sum of squares over latents of 4 x 64 x 64, Stable Diffusion's at 512 pixels; the mean times that size says the
same there, and keeps tau's meaning at every other. tau 0 is Composable Diffusion's NOT. The prompt is followed by plain
classifier-free guidance, an option of theirs: their positive half would multiply s by up to 2. Several negatives add up,
each with an L_i of its own. Space: noise. Cost: 2 + k passes with k negatives, 2 without, 1 at scale 1 without.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from negativa.plain.knobs import knob
from negativa.plain.passes import NOTHING, Moment
from negativa.rules.baseline import passes_from_nothing, without_negatives
from negativa.rules.rule import Memory, Predictions, Space


@dataclass(frozen=True)
class Contrastive:
    """`scale` acts on prompt and negatives alike; `tau` decides how soon a negative is far enough."""

    scale: float
    tau: float = knob(0.2, 0.0, 1e6, "How soon a negative counts as far enough away; 0 never lets go of it.")

    space: ClassVar[Space] = "noise"

    def passes(self, moment: Moment) -> tuple[str, ...]:
        return passes_from_nothing(moment, self.scale)

    def combine(self, predictions: Predictions, moment: Moment, memory: Memory) -> Any:
        s, d = self.scale, without_negatives(predictions, moment, self.scale)
        for negative in moment.negatives:
            q = predictions[negative.name] - predictions[NOTHING]
            r = 4 * 64 * 64 * (q * q).mean()
            L = 2 * (-self.tau * r).sigmoid()
            d = d - s * negative.weight * L * q
        return d
