"""A window: inside it a rule sees the negatives, outside it does not.

    step i of N is inside when start <= i / N < stop

Ban et al. 2024, arXiv 2406.02965, section 5, where the negative takes the place of the empty prompt for part of the
steps. Half open, so that [0, .5) and [.5, 1) share no step and miss none. Cost: that of the rule.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from negativa.plain.conditions import inside
from negativa.plain.passes import Moment
from negativa.rules.rule import Rule
from negativa.rules.wrapper import Wrapper


@dataclass(frozen=True)
class Window(Wrapper):
    """`rule` with its negatives between `start` and `stop`, shares of the steps (0 to 1)."""

    start: float = 0.0
    stop: float = 1.0

    def within(self, moment: Moment) -> tuple[Rule, Moment]:
        acts = inside(moment.step, moment.steps, self.start, self.stop)
        return self.rule, moment if acts else replace(moment, negatives=())
