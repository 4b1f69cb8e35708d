"""Semantic guidance (SEGA), for removal: away from each negative in the few places where it differs most from nothing.

    psi_i  = -e w_i (n_i - u), kept where |psi_i| is at least its quantile q over the pixels of its channel, else 0
    g_i    = psi_i + m v_i        v_i <- b v_i + (1 - b) g_i
    guided = u + s (c - u) + sum_i g_i        g_i is left out before the share of the steps called warmup

c, u, n_i are the predictions under the prompt, under nothing and under each negative that acts at this step; s is the
scale, e the repulsion (not multiplied by s), q the threshold, m the momentum, b the decay, v_i the running mean, w_i the
weight of a negative. Brack, Friedrich, Hintersdorf, Struppek, Schramowski & Kersting 2023, arXiv 2301.12247, section 3,
whose s_e, lambda, s_m, beta_m, g_i, delta are our e, q, m, b, w_i, warmup (published as 10 steps of 50). Means are kept
for each negative, from its first step on, warmup included; where all of them act, that is the paper's one mean. Several
negatives add up. Space: noise. Cost: 2 + k passes with k negatives, 2 without, 1 at scale 1 without.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from negativa.plain.conditions import inside
from negativa.plain.knobs import knob
from negativa.plain.passes import NOTHING, Moment
from negativa.rules.baseline import passes_from_nothing, without_negatives
from negativa.rules.rule import Memory, Predictions, Space


@dataclass(frozen=True)
class Semantic:
    """`scale` pulls towards the prompt; the negatives have a `repulsion` of their own."""

    scale: float
    repulsion: float = knob(5.0, 0.0, 100.0, "How far away from a negative of weight 1, not multiplied by the scale.")
    threshold: float = knob(0.9, 0.0, 1.0, "Share of the pixels of each channel that are left alone.")
    warmup: float = knob(0.2, 0.0, 1.0, "Share of the steps before negatives act.")
    momentum: float = knob(0.1, 0.0, 1.0, "How much of earlier steps' guidance is added.")
    decay: float = knob(0.4, 0.0, 1.0, "How slowly earlier steps' guidance is forgotten.")

    space: ClassVar[Space] = "noise"

    def passes(self, moment: Moment) -> tuple[str, ...]:
        return passes_from_nothing(moment, self.scale)

    def combine(self, predictions: Predictions, moment: Moment, memory: Memory) -> Any:
        b, d = self.decay, without_negatives(predictions, moment, self.scale)
        for negative in moment.negatives:
            n, u = predictions[negative.name], predictions[NOTHING]
            psi = -self.repulsion * negative.weight * (n - u)
            least = psi.abs().flatten(-2).quantile(self.threshold, -1)[..., None, None]  # (channels, 1, 1)
            v = memory.get(f"mean of {negative.name}", 0.0)
            g = psi * (psi.abs() >= least) + self.momentum * v
            memory[f"mean of {negative.name}"] = b * v + (1 - b) * g
            if inside(moment.step, moment.steps, self.warmup, 1.0):
                d = d + g
        return d
