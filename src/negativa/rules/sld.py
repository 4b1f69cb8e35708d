"""Safe Latent Diffusion: away from the negative only in those numbers where the prompt comes near it, with momentum.

    mu_i   = min(S |c - n_i|, 1) where c - n_i < t, else 0        (number by number)
    g_i    = w_i mu_i (n_i - u) + m v_i        v_i <- b v_i + (1 - b) g_i
    guided = u + s ((c - u) - sum_i g_i)        g_i is left out before the share of the steps called warmup

c, u, n_i are the predictions under the prompt, under nothing and under each negative that acts at this step; s is the
scale, S the strength, t the threshold, m the momentum, b the decay, v_i the running mean, w_i the weight of a negative.
Schramowski, Brack, Deiseroth & Kersting 2023, arXiv 2211.05105, equations 3 to 8, whose s_S, lambda, s_m, beta_m,
delta are our S, t, m, b, warmup (published in steps of 50). The threshold is signed: every large difference below zero
passes it too. S is how soon mu reaches 1, not how hard it pushes. Means are kept for each negative, from its first step
on, warmup included; several negatives add up. Space: noise, whose units t and S are in.
Cost: 2 + k passes with k negatives, 2 without, 1 at scale 1 without.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from negativa.plain.conditions import inside
from negativa.plain.knobs import knob
from negativa.plain.passes import NOTHING, POSITIVE, Moment
from negativa.rules.baseline import passes_from_nothing, without_negatives
from negativa.rules.rule import Memory, Predictions, Space


@dataclass(frozen=True)
class SafeLatent:
    """The paper's four strengths are the presets; the defaults are its medium one."""

    scale: float
    warmup: float = knob(0.2, 0.0, 1.0, "Share of the steps before negatives act.")
    strength: float = knob(1000.0, 0.0, 1e9, "How soon a difference from the negative counts in full.")
    threshold: float = knob(0.01, -1e9, 1e9, "Differences from the negative below this count, in units of noise.")
    momentum: float = knob(0.3, 0.0, 1.0, "How much of earlier steps' guidance is added.")
    decay: float = knob(0.4, 0.0, 1.0, "How slowly earlier steps' guidance is forgotten.")

    space: ClassVar[Space] = "noise"
    PRESETS: ClassVar[dict[str, dict[str, float]]] = {
        "weak": {"warmup": 0.3, "strength": 200.0, "threshold": 0.0, "momentum": 0.0, "decay": 0.0},
        "medium": {"warmup": 0.2, "strength": 1000.0, "threshold": 0.01, "momentum": 0.3, "decay": 0.4},
        "strong": {"warmup": 0.14, "strength": 2000.0, "threshold": 0.025, "momentum": 0.5, "decay": 0.7},
        "max": {"warmup": 0.0, "strength": 5000.0, "threshold": 1.0, "momentum": 0.5, "decay": 0.7},
    }

    def passes(self, moment: Moment) -> tuple[str, ...]:
        return passes_from_nothing(moment, self.scale)

    def combine(self, predictions: Predictions, moment: Moment, memory: Memory) -> Any:
        s, b, d = self.scale, self.decay, without_negatives(predictions, moment, self.scale)
        for negative in moment.negatives:
            c, u, n = predictions[POSITIVE], predictions[NOTHING], predictions[negative.name]
            mu = (self.strength * (c - n).abs()).clamp(max=1) * (c - n < self.threshold)
            v = memory.get(f"mean of {negative.name}", 0.0)
            g = negative.weight * mu * (n - u) + self.momentum * v
            memory[f"mean of {negative.name}"] = b * v + (1 - b) * g
            if inside(moment.step, moment.steps, self.warmup, 1.0):
                d = d - s * g
        return d
