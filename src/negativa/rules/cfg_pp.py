"""CFG++: every step aims between nothing and the prompt, in clean latents, and goes on with the noise that nothing sees.

    x0     = u + l (c - u - sum_i w_i (n_i - u))         in clean latents
    x'     = a' x0 + s' e(u)                             e(u): the noise that u says is in x = a x0 + s noise
    guided = u + v (c - u - sum_i w_i (n_i - u))         v = l a' s / (a' s - s' a)

c, u, n_i are the predictions under the prompt, under nothing and under each negative that acts at this step, w_i its weight; l
is the `share`; a, s say how much of the clean latents and of noise there is before a step, a', s' after it. Chung, Kim, Park,
Nam & Ye 2025, arXiv 2406.08070, algorithm 2, whose lambda is our l; the negatives are ours. The third line is what an ordinary
step of first order must be given to end at x', on the curved path and on a flow's: see `samplers`. A negative is taken off
what is aimed at, and nothing keeps the noise: with n in the place of u in the first line alone, a negative would pull towards
itself, since x0 then holds (1 - l) n and nothing against it. A step that ends at the level where it began moves nothing.
Affine with coefficients that sum to one: space any. Cost: 2 + k passes with k negatives.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from negativa.plain.knobs import knob
from negativa.plain.passes import NOTHING, POSITIVE, Moment
from negativa.rules.rule import Memory, Predictions, Space


@dataclass(frozen=True)
class PlusPlus:
    """`share` stands where other rules have a scale. Every negative is measured from nothing."""

    share: float = knob(0.6, 0.0, 1.0, "How far the clean latents are from nothing (0) to the prompt (1).")

    space: ClassVar[Space] = "any"
    samplers: ClassVar[tuple[str, ...]] = ("ddim", "euler")  # those whose step is a' x0 + s' noise of one prediction

    def passes(self, moment: Moment) -> tuple[str, ...]:
        return (POSITIVE, NOTHING, *(one.name for one in moment.negatives))

    def combine(self, predictions: Predictions, moment: Moment, memory: Memory) -> Any:
        c, u = predictions[POSITIVE], predictions[NOTHING]
        a, s, (a_next, s_next) = moment.alpha, moment.sigma, moment.after
        kept = a_next * s - s_next * a  # 0 where the level stays, or is not known
        v = self.share * a_next * s / kept if kept > 0 else self.share
        return u + v * (c - u - sum(one.weight * (predictions[one.name] - u) for one in moment.negatives))
