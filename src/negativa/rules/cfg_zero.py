"""CFG-Zero*: guidance away from a baseline of the best length, and perhaps no step at all at the start.

    a      = <c, b> / |b|^2
    guided = a b + s (c - a b)                           0 in the first `zero_init` of the steps

c is the prediction under the prompt, b the baseline, which the negatives move: u + sum_i w_i (n_i - u); s is the scale; a
makes a b the point nearest to c along b. Fan et al. 2025, arXiv 2503.18886; its zeroed steps suit models whose
first velocities are worse than none, and ignore the prompt: off here unless asked for, 4 % of the steps in the preset `flow`.
Space: velocity, which it was derived for; lengths differ in the others. Cost: 1 pass at scale 1 and in zeroed steps,
otherwise that of cfg.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from negativa.plain.conditions import inside
from negativa.plain.knobs import knob
from negativa.plain.passes import POSITIVE, Moment
from negativa.rules.baseline import baseline, passes_from_baseline
from negativa.rules.rule import Memory, Predictions, Space


@dataclass(frozen=True)
class ZeroStar:
    """`scale`: 1 is the prompt alone, and then no step is zeroed. All negatives act through the baseline."""

    scale: float
    zero_init: float = knob(0.0, 0.0, 1.0, "Share of the steps, from the first, that predict a velocity of zero.")

    space: ClassVar[Space] = "velocity"
    from_baseline: ClassVar[bool] = True
    PRESETS: ClassVar[dict[str, dict[str, float]]] = {"flow": {"zero_init": 0.04}}

    def passes(self, moment: Moment) -> tuple[str, ...]:
        return (POSITIVE,) if self._zeroed(moment) else passes_from_baseline(moment, self.scale)

    def combine(self, predictions: Predictions, moment: Moment, memory: Memory) -> Any:
        c, s = predictions[POSITIVE], self.scale
        if s == 1:
            return c
        if self._zeroed(moment):
            return 0.0 * c
        b = baseline(predictions, moment)
        a = (c * b).sum() / (b * b).sum().clamp(min=1e-12)
        return a * b + s * (c - a * b)

    def _zeroed(self, moment: Moment) -> bool:
        return inside(moment.step, moment.steps, 0.0, self.zero_init)
