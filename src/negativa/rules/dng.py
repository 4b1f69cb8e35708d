"""Dynamic negative guidance: away from each negative as hard as it is likely, by what the noise drawn so far says.

    guided = u + s (c - u) - strength sum_i w_i r_i / (1 - r_i) (n_i - u)        log r_i kept in [log 1e-6, log ceiling]
    log r_i <- log r_i + T (|x' - mu(u)|^2 - |x' - mu(n_i)|^2) / (2 v)           log r_i = log prior at first
    mu(y) = (x - (1 - a^2) / sigma y) / a        v = (1 - a^2) sigma'^2 / sigma^2        a = alpha / alpha'

c, u, n_i are the predictions under the prompt, under nothing and under each negative that acts at this step; s is the
scale, w_i the weight of a negative, r_i the share of it in what nothing would give from here, T the temperature;
x = alpha x0 + sigma noise the latents a step ago, drawn on to x' = alpha' x0 + sigma' noise. Koulischer, Deleu, Raya,
Demeester & Ambrogioni 2025, arXiv 2410.14398, section 3 and algorithm 1, whose lambda, tau, pi are our strength, T,
prior; the preset is the run that their code shows. Exact for strength 1, T 1, the true prior and a prompt that is
nothing; beside another prompt, measuring n_i from u is our reading. mu and v must be the sampler's own: see `samplers`.
Several negatives are traced one by one and add up. Space: noise.
Cost: 2 + k passes with k negatives, 2 without, 1 at scale 1 without.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import Any, ClassVar

from negativa.plain.knobs import knob
from negativa.plain.passes import LATENTS, NOTHING, Moment
from negativa.rules.baseline import passes_from_nothing, without_negatives
from negativa.rules.rule import Memory, Predictions, Space
from negativa.rules.spaces import LEAST


@dataclass(frozen=True)
class Dynamic:
    """`scale` pulls towards the prompt; the push away from a negative follows its probability."""

    scale: float
    strength: float = knob(1.0, 0.0, 100.0, "How far away from a negative of weight 1; 1 is exact.")
    prior: float = knob(0.2, 1e-6, 0.999, "Share of what the model makes of no prompt that is the negative.")
    temperature: float = knob(1.0, 0.0, 1.0, "How far to believe each step; less for models that err in many numbers.")
    ceiling: float = knob(0.99, 1e-6, 0.9999, "Most that the probability may become; caps the push.")

    space: ClassVar[Space] = "noise"
    samplers: ClassVar[tuple[str, ...]] = ("euler_a",)  # the only ones that draw x' with the mean and variance traced here
    PRESETS: ClassVar[dict[str, dict[str, float]]] = {
        "released": {"strength": 5.0, "prior": 0.01, "temperature": 0.2, "ceiling": 0.8},
    }

    def passes(self, moment: Moment) -> tuple[str, ...]:
        return passes_from_nothing(moment, self.scale)

    def combine(self, predictions: Predictions, moment: Moment, memory: Memory) -> Any:
        d = without_negatives(predictions, moment, self.scale)
        for negative in moment.negatives:
            n, u, x, name = predictions[negative.name], predictions[NOTHING], predictions[LATENTS], f"trace of {negative.name}"
            log_r, *before = memory.get(name, (u.new_tensor(log(self.prior)),))
            if before:
                log_r = log_r + self.temperature * _evidence(x, moment, *before)
            log_r = log_r.clamp(log(1e-6), log(self.ceiling))
            memory[name] = (log_r, x, n, u, moment.alpha, moment.sigma)
            r = log_r.exp()
            d = d - self.strength * negative.weight * r / (1 - r) * (n - u)
        return d


def _evidence(drawn: Any, now: Moment, x: Any, n: Any, u: Any, alpha: float, sigma: float) -> Any:
    """(|x' - mu(u)|^2 - |x' - mu(n)|^2) / (2 v), multiplied out so that nothing cancels and no step is too small."""
    a, sigma, to = max(alpha, LEAST) / max(now.alpha, LEAST), max(sigma, LEAST), max(now.sigma, LEAST)
    between = (x - (1 - a * a) / sigma * (n + u) / 2) / a
    return -sigma / (a * to * to) * ((n - u) * (drawn - between)).sum()
