"""Frequency-decoupled guidance: fine detail is pushed by the full scale, broad shapes by less, which keeps colours and variety.

    guided = c + (s - 1) (high(c - b) + share low(c - b))          low + high = everything

c is the prediction under the prompt, b the baseline, which the negatives move: u + sum_i w_i (n_i - u); s is the scale of the
high frequencies, 1 + (s - 1) `low` that of the low ones. Sadat et al. 2025, arXiv 2506.19713: its scales 10 and 5
are scale 10 with `low` 4/9. low is one level of a Laplacian pyramid at full size (Burt & Adelson 1983): the binomial filter
[1 4 6 4 1] / 16 twice along both axes, once as before and once as after the paper's halving, edges repeated. Space: any,
for the two parts are linear and sum to what they part. Cost: 1 pass at scale 1, otherwise that of cfg.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from negativa.plain.knobs import knob
from negativa.plain.passes import POSITIVE, Moment
from negativa.rules.baseline import baseline, passes_from_baseline
from negativa.rules.rule import Memory, Predictions, Space


@dataclass(frozen=True)
class FrequencyDecoupled:
    """`scale`: that of the high frequencies; 1 is the prompt alone. All negatives act through the baseline."""

    scale: float
    low: float = knob(0.45, -10.0, 10.0, "Share of the push that low frequencies get; 1 is cfg.")

    space: ClassVar[Space] = "any"
    from_baseline: ClassVar[bool] = True

    def passes(self, moment: Moment) -> tuple[str, ...]:
        return passes_from_baseline(moment, self.scale)

    def combine(self, predictions: Predictions, moment: Moment, memory: Memory) -> Any:
        c, s, share = predictions[POSITIVE], self.scale, self.low
        if s == 1:
            return c
        push = c - baseline(predictions, moment)
        low = _low(_low(push).transpose(-1, -2)).transpose(-1, -2)
        high = push - low
        return c + (s - 1) * (high + share * low)


def _low(x: Any) -> Any:
    """x (..., n) without its high frequencies along the last axis: [1 2 1] / 4, four times."""
    n = x.shape[-1]
    for _ in range(4):
        x = (x[..., [0, *range(n - 1)]] + 2 * x + x[..., [*range(1, n), n - 1]]) / 4
    return x
