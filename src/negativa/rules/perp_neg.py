"""Perp-Neg: away from the part of each negative that is perpendicular to the prompt, so that the prompt is not weakened.

    p = c - u    q_i = n_i - u    q_i' = q_i - (<q_i, p> / |p|^2) p
    guided = u + s (p - b sum_i w_i q_i')

c, u, n_i are the predictions under the prompt, under nothing and under each negative that acts at this step; s is the
scale, b the repulsion, w_i the weight of a negative. Armandpour, Sadeghian, Zheng, Sadeghian & Zhou 2023, arXiv
2304.04968, section 4, whose weights of negatives are our b w_i. The inner product runs over all numbers of one image,
never over a batch; |p|^2 is kept above zero, so that a prompt that says nothing leaves the whole of q_i. A negative
that is parallel to the prompt changes nothing. Several negatives are made perpendicular one by one and add up.
The coefficients sum to one and are the same in every space, differences there being multiples of each other: any space.
Cost: 2 + k passes with k negatives, 2 without, 1 at scale 1 without.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from negativa.plain.knobs import knob
from negativa.plain.passes import NOTHING, POSITIVE, Moment
from negativa.rules.baseline import passes_from_nothing, without_negatives
from negativa.rules.rule import Memory, Predictions, Space


@dataclass(frozen=True)
class PerpNeg:
    """`scale` acts on prompt and negatives alike, `repulsion` on the negatives beside it."""

    scale: float
    repulsion: float = knob(1.0, 0.0, 100.0, "How far away from a negative of weight 1, in shares of the scale.")

    space: ClassVar[Space] = "any"

    def passes(self, moment: Moment) -> tuple[str, ...]:
        return passes_from_nothing(moment, self.scale)

    def combine(self, predictions: Predictions, moment: Moment, memory: Memory) -> Any:
        s, b, d = self.scale, self.repulsion, without_negatives(predictions, moment, self.scale)
        for negative in moment.negatives:
            c, u, n = predictions[POSITIVE], predictions[NOTHING], predictions[negative.name]
            p, q = c - u, n - u
            parallel = (q * p).sum() / (p * p).sum().clamp(min=1e-12) * p
            d = d - s * b * negative.weight * (q - parallel)
        return d
