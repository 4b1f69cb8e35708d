"""Magnitude-aware guidance (MAMBO-G): the longer the push beside the baseline, the smaller the scale.

    ratio  = |c - b| / |b|
    guided = b + (1 + (s - 1) exp(-alpha ratio)) (c - b)

c is the prediction under the prompt, b the baseline, which the negatives move: u + sum_i w_i (n_i - u); s is the scale, alpha
the `damping`. Zhu et al. 2025, arXiv 2508.03442, whose w_max is our s. Space: velocity, as in the paper; the ratio is another
one in the others. Cost: 1 pass at scale 1, otherwise that of cfg.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from negativa.plain.knobs import knob
from negativa.plain.passes import POSITIVE, Moment
from negativa.rules.baseline import baseline, passes_from_baseline
from negativa.rules.rule import Memory, Predictions, Space


@dataclass(frozen=True)
class MagnitudeAware:
    """`scale`: 1 is the prompt alone; it is never exceeded. All negatives act through the baseline."""

    scale: float
    damping: float = knob(8.0, 0.0, 1000.0, "How fast a long push lowers the scale; 0 is cfg.")

    space: ClassVar[Space] = "velocity"
    from_baseline: ClassVar[bool] = True

    def passes(self, moment: Moment) -> tuple[str, ...]:
        return passes_from_baseline(moment, self.scale)

    def combine(self, predictions: Predictions, moment: Moment, memory: Memory) -> Any:
        c, s, alpha = predictions[POSITIVE], self.scale, self.damping
        if s == 1:
            return c
        b = baseline(predictions, moment)
        ratio = (c - b).norm() / b.norm().clamp(min=1e-12)
        return b + (1 + (s - 1) * (-alpha * ratio).exp()) * (c - b)
