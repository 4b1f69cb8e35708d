"""Reuse: what guidance did at one step is done again at the next few, which then need the prompt's pass alone.

    guided_i = c_i + d          d = guided_j - c_j, j the last step that asked: 0, k, 2k, ... rounded up, k = `every`

c is the prediction under the prompt. FasterCache (Lv et al. 2024, arXiv 2410.19355) keeps what lies between the prediction
under the prompt and the one under nothing, and weighs its frequencies anew; here the whole of what the rule added is kept as
it is, so any rule and any number of negatives will do. A negative whose window opens or closes between two such steps is
heard, or no longer, from the next of them on, and so begins and ends an `interval` or `window` inside or around it. What is
kept and added again is noise; on a flow's path, where at first, at alpha 0, guidance moves the noise by nothing, it is
velocity, what the network itself predicts. Space: velocity, in which a difference is one of noise divided by alpha.
Cost: that of the rule at one step in `every`, 1 pass at the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Final

from negativa.plain.knobs import knob
from negativa.plain.passes import POSITIVE, Moment
from negativa.rules.rule import Memory, Predictions, Space
from negativa.rules.spaces import LEAST, combine_in
from negativa.rules.wrapper import Wrapper

#: In a walk's memory: what the rule added to the prompt's prediction when it was last asked, in noise, or velocity of a flow.
ADDED: Final = "added by the rule"


@dataclass(frozen=True)
class Reuse(Wrapper):
    """`rule` at one step in `every`, which need be no whole number."""

    every: float = knob(4.0, 1.0, 1000.0, "Steps from one at which all passes are run to the next.")

    works_in: ClassVar[Space] = "velocity"

    def passes(self, moment: Moment) -> tuple[str, ...]:
        return super().passes(moment) if self._asks(moment) else (POSITIVE,)

    def combine(self, predictions: Predictions, moment: Moment, memory: Memory) -> Any:
        c = predictions[POSITIVE]
        if self._asks(moment):
            guided = combine_in(self.space, self.rule, predictions, moment, memory)
            memory[ADDED] = _share(moment) * (guided - c)
            return guided
        return c + memory.get(ADDED, 0.0) / _share(moment)

    def _asks(self, moment: Moment) -> bool:
        return moment.step == 0 or moment.step // self.every > (moment.step - 1) // self.every


def _share(moment: Moment) -> float:
    """How much of a difference in velocity is kept: as much as it is in noise, on a flow's path all of it."""
    return 1.0 if moment.flow else max(moment.alpha, LEAST)
