"""Concept removal guidance (CRG): no further from a negative than it takes to bring the signs of it below a threshold.

    D_i    = n_i - u        h_i = |c - u|^2 - |c - n_i|^2
    C_i    = h_i / 2 + sum over earlier steps of beta / (2 a^2 sigma^2) h_i        beta = 1 - a^2, a = alpha / alpha'
    guided = u + s (c' - u)        c' = c - strength sum_i w_i max(C_i - tau, 0) / |D_i|^2 D_i

c, u, n_i are the predictions under the prompt, under nothing and under each negative that acts at this step; s is the
scale, w_i the weight of a negative, h_i above zero where c is nearer to it than to nothing, alpha and sigma those of a
step's latents, made to have alpha^2 + sigma^2 = 1 where a flow has not, alpha' that of the next. Choi, Oh, Choi, Seo & Kim
2026, arXiv 2606.29801. Our reading of formulas met at second hand, whose K is 1 and whose T cancels; that the corrected c'
takes c's place in classifier-free guidance is our reading too. Strength 1 takes what this step says of c down to tau exactly.
|D_i|^2 counts as at least a millionth for each number. Evidence is kept for each negative, from its first step on; several
add up.
Space: noise. Cost: 2 + k passes with k negatives, 2 without, 1 at scale 1 without.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot
from typing import Any, ClassVar

from negativa.plain.knobs import knob
from negativa.plain.passes import NOTHING, POSITIVE, Moment
from negativa.rules.baseline import passes_from_nothing, without_negatives
from negativa.rules.rule import Memory, Predictions, Space
from negativa.rules.spaces import LEAST


@dataclass(frozen=True)
class ConceptRemoval:
    """`scale` pulls towards the prompt as corrected; a negative without evidence changes nothing."""

    scale: float
    strength: float = knob(2.0, 0.0, 100.0, "Correction for a negative of weight 1; 1 just meets the threshold.")
    tau: float = knob(0.0, -1e6, 1e6, "Signs of a negative below this are let pass.")

    space: ClassVar[Space] = "noise"

    def passes(self, moment: Moment) -> tuple[str, ...]:
        return passes_from_nothing(moment, self.scale)

    def combine(self, predictions: Predictions, moment: Moment, memory: Memory) -> Any:
        size = hypot(moment.alpha, moment.sigma)
        alpha_now, sigma_now = max(moment.alpha / size, LEAST), max(moment.sigma / size, LEAST)
        s, d = self.scale, without_negatives(predictions, moment, self.scale)
        for negative in moment.negatives:
            c, u, n, name = predictions[POSITIVE], predictions[NOTHING], predictions[negative.name], f"signs of {negative.name}"
            D, h = n - u, ((c - u) * (c - u) - (c - n) * (c - n)).sum()
            earlier, alpha, sigma, h_before = memory.get(name, (0.0, alpha_now, sigma_now, 0.0))
            a = alpha / alpha_now
            earlier = earlier + (1 - a * a) / (2 * a * a * sigma * sigma) * h_before
            memory[name] = (earlier, alpha_now, sigma_now, h)
            omega = (h / 2 + earlier - self.tau).clamp(min=0) / (D * D).sum().clamp(min=1e-6 * D.numel())
            d = d - s * self.strength * negative.weight * omega * D
        return d
