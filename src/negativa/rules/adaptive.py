"""Adaptive guidance: stop paying for passes once they predict what the prompt predicts anyway.

    stop when cos(c, n) >= bar for every other pass n

c is the prediction under the prompt. Castillo et al. 2023, arXiv 2312.12487, whose n is the prediction under nothing. From
then on the prompt alone is asked for, until the rule wants other passes than those that were found idle: a negative whose
window opens later, or whose words change, is heard. Space: x0, where the paper measures the noise; but at high noise all
predictions of it are nearly the noisy latents, and alike (on terrarium the cosine starts at 1.0000 and falls), while x0 then
differs most, and last least.
Cost: that of the rule until the stop, 1 pass afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Final

from negativa.plain.knobs import knob
from negativa.plain.passes import POSITIVE, Moment
from negativa.rules.rule import Memory, Predictions, Space
from negativa.rules.spaces import combine_in
from negativa.rules.wrapper import Wrapper

#: In a walk's memory: the passes found idle. When they are all that a rule asks for, the positive alone is enough.
IDLE: Final = "idle passes"


@dataclass(frozen=True)
class Adaptive(Wrapper):
    """`rule` until its passes are idle; `passes` are those it asks for before that."""

    bar: float = knob(0.999, -1.0, 1.0, "Cosine with the prompt's prediction from which a pass is idle.")

    works_in: ClassVar[Space] = "x0"

    def combine(self, predictions: Predictions, moment: Moment, memory: Memory) -> Any:
        c, names = predictions[POSITIVE], self.rule.passes(moment)
        if IDLE in memory and names in (memory[IDLE], (POSITIVE,)):  # a rule inside may spare its passes now and then
            return c
        memory.pop(IDLE, None)
        guided = combine_in(self.space, self.rule, predictions, moment, memory)
        if len(names) > 1 and all(_cosine(c, predictions[name]) >= self.bar for name in names):
            memory[IDLE] = names
        return guided


def _cosine(a: Any, b: Any) -> float:
    return float((a * b).sum() / (a.norm() * b.norm()).clamp(min=1e-12))
