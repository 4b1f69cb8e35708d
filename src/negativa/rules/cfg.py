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
from typing import Any

from negativa.plain.passes import NOTHING, POSITIVE, Moment
from negativa.rules.rule import Memory, Predictions


@dataclass(frozen=True)
class ClassifierFree:
    """`scale`: 1 is the prompt alone; larger values move further from the baseline."""

    scale: float

    def passes(self, moment: Moment) -> tuple[str, ...]:
        if self.scale == 1:
            return (POSITIVE,)
        names = tuple(negative.name for negative in moment.negatives)
        return (POSITIVE, *names) if _replaces_nothing(moment) else (POSITIVE, NOTHING, *names)

    def combine(self, predictions: Predictions, moment: Moment, memory: Memory) -> Any:
        c, s = predictions[POSITIVE], self.scale
        if s == 1:
            return c
        if _replaces_nothing(moment):
            baseline = sum(negative.weight * predictions[negative.name] for negative in moment.negatives)
        else:
            u = predictions[NOTHING]
            baseline = u + sum(n.weight * (predictions[n.name] - u) for n in moment.negatives)
        return baseline + s * (c - baseline)


def _replaces_nothing(moment: Moment) -> bool:
    """Whether the weights sum to one, so that u cancels out of the baseline."""
    return bool(moment.negatives) and sum(negative.weight for negative in moment.negatives) == 1
