"""Composable Diffusion's NOT: as far from each negative as the prompt is from nothing, measured from nothing.

    guided = u + s (c - u) - s sum_i w_i (n_i - u)

c, u, n_i are the predictions under the prompt, under nothing and under each negative that acts at this step; s is the
scale, w_i the weight of a negative. Liu, Li, Du, Torralba & Tenenbaum 2022, arXiv 2206.01714, section 3 (concept
negation). With one negative of weight 1 it is u + s (c - n): where the two agree, u is left, while classifier-free
guidance leaves n. Several negatives add up. Affine with coefficients that sum to one, so the same in any space.
Cost: 2 + k passes with k negatives, 2 without, 1 at scale 1 without.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from negativa.plain.passes import NOTHING, Moment
from negativa.rules.baseline import passes_from_nothing, without_negatives
from negativa.rules.rule import Memory, Predictions, Space


@dataclass(frozen=True)
class Composable:
    """`scale` pulls towards the prompt and pushes away from the negatives alike; no other knobs."""

    scale: float

    space: ClassVar[Space] = "any"

    def passes(self, moment: Moment) -> tuple[str, ...]:
        return passes_from_nothing(moment, self.scale)

    def combine(self, predictions: Predictions, moment: Moment, memory: Memory) -> Any:
        s, d = self.scale, without_negatives(predictions, moment, self.scale)
        for negative in moment.negatives:
            n, u = predictions[negative.name], predictions[NOTHING]
            d = d - s * negative.weight * (n - u)
        return d
