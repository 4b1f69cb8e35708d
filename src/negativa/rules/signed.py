"""Signed guidance: towards the prompt with one scale, away from each negative with another.

    guided = u + s (c - u) - r sum_i w_i (n_i - u)

c, u, n_i are the predictions under the prompt, under nothing and under each negative that acts at this step; s is the
scale, r the repulsion, w_i the weight of a negative. A negative weight in the conjunction of Liu et al. 2022, arXiv
2206.01714, section 3, whose w_i are our s and -r w_i; as in the AND of AUTOMATIC1111's web UI with a weight below zero,
there measured from the negative prompt, and in Chang, Kim & Choi 2025, arXiv 2510.26052, who find r up to 20 useful.
Where r is s, this is Composable Diffusion's NOT. Several negatives add up. Affine with coefficients that sum to one, so
the same in any space. Cost: 2 + k passes with k negatives, 2 without, 1 at scale 1 without.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from negativa.plain.knobs import knob
from negativa.plain.passes import NOTHING, Moment
from negativa.rules.baseline import passes_from_nothing, without_negatives
from negativa.rules.rule import Memory, Predictions, Space


@dataclass(frozen=True)
class Signed:
    """`scale` pulls towards the prompt, `repulsion` pushes away from the negatives."""

    scale: float
    repulsion: float = knob(7.5, 0.0, 100.0, "How far away from a negative of weight 1; 0 ignores it.")

    space: ClassVar[Space] = "any"

    def passes(self, moment: Moment) -> tuple[str, ...]:
        return passes_from_nothing(moment, self.scale)

    def combine(self, predictions: Predictions, moment: Moment, memory: Memory) -> Any:
        r, d = self.repulsion, without_negatives(predictions, moment, self.scale)
        for negative in moment.negatives:
            n, u = predictions[negative.name], predictions[NOTHING]
            d = d - r * negative.weight * (n - u)
        return d
