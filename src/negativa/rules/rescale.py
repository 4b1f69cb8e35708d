"""Rescale: the guided prediction gets back the contrast that the prompt's own prediction has.

    guided = (1 - phi) g + phi g std(c) / std(g)

g is what the rule predicts, c the prediction under the prompt, phi the `share`; the standard deviations are over the whole
prediction of one image. Lin et al. 2024, arXiv 2305.08891, section 3.4. Space: velocity, as in the paper; it is
another method in noise or x0. Cost: that of the rule.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from negativa.plain.knobs import knob
from negativa.plain.passes import POSITIVE, Moment
from negativa.rules.rule import Memory, Predictions, Space
from negativa.rules.spaces import combine_in
from negativa.rules.wrapper import Wrapper


@dataclass(frozen=True)
class Rescale(Wrapper):
    """`rule` with the contrast of the prompt's prediction."""

    share: float = knob(0.7, 0.0, 1.0, "How far the contrast is brought back: 0 not at all, 1 all the way.")

    works_in: ClassVar[Space] = "velocity"

    def combine(self, predictions: Predictions, moment: Moment, memory: Memory) -> Any:
        g = combine_in(self.space, self.rule, predictions, moment, memory)
        c, phi = predictions[POSITIVE], self.share
        ratio = ((c - c.mean()).norm() + 1e-12) / ((g - g.mean()).norm() + 1e-12)  # the counts in both std cancel
        return (1 - phi) * g + phi * ratio * g
