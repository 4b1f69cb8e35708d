"""Classifier-free guidance: away from a baseline, towards the prompt; negatives move the baseline.

    baseline = u + sum_i w_i (n_i - u)
    guided   = baseline + s (c - baseline)

c, u, n_i are the predictions under the prompt, under nothing and under each negative that acts at this step; s is the
scale, w_i the weight of a negative. Ho & Salimans 2022, arXiv 2207.12598, equation 6, whose w is our s - 1. Putting the
negative in the place of u is the practice of AUTOMATIC1111's web UI (2022): here one negative of weight 1. Several
weighted negatives extend it. Affine with coefficients that sum to one, so the same in any prediction space.
Cost: 1 pass at scale 1, 2 without negatives, 1 + k with k negatives whose weights sum to one (u cancels), else 2 + k.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from negativa.plain.passes import POSITIVE, Moment
from negativa.rules.baseline import baseline, passes_from_baseline
from negativa.rules.rule import Memory, Predictions, Space


@dataclass(frozen=True)
class ClassifierFree:
    """`scale`: 1 is the prompt alone; larger values move further from the baseline."""

    scale: float

    space: ClassVar[Space] = "any"
    from_baseline: ClassVar[bool] = True

    def passes(self, moment: Moment) -> tuple[str, ...]:
        return passes_from_baseline(moment, self.scale)

    def combine(self, predictions: Predictions, moment: Moment, memory: Memory) -> Any:
        c, s = predictions[POSITIVE], self.scale
        if s == 1:
            return c
        b = baseline(predictions, moment)
        return b + s * (c - b)
