"""A window: inside it a rule sees the negatives, outside it does not.

    step i of N is inside when start <= i / N < stop

Ban et al. 2024, arXiv 2406.02965, section 5, where the negative takes the place of the empty prompt for part of the
steps. Half open, so that [0, .5) and [.5, 1) share no step and miss none. Cost: that of the rule.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from negativa.plain.conditions import inside
from negativa.plain.passes import Moment
from negativa.rules.rule import Memory, Predictions, Rule, Space


@dataclass(frozen=True)
class Window:
    """`rule` with its negatives between `start` and `stop`, shares of the steps (0 to 1)."""

    rule: Rule
    start: float = 0.0
    stop: float = 1.0

    @property
    def space(self) -> Space:
        return self.rule.space

    def passes(self, moment: Moment) -> tuple[str, ...]:
        return self.rule.passes(self._seen(moment))

    def combine(self, predictions: Predictions, moment: Moment, memory: Memory) -> Any:
        return self.rule.combine(predictions, self._seen(moment), memory)

    def _seen(self, moment: Moment) -> Moment:
        within = inside(moment.step, moment.steps, self.start, self.stop)
        return moment if within else replace(moment, negatives=())
