"""What wrappers share: a rule inside, which stands at each moment as the wrapper lets it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from negativa.plain.passes import Moment, Patch
from negativa.rules.rule import Memory, Predictions, Rule, Space, patches_of


@dataclass(frozen=True)
class Wrapper:
    """`rule`, unchanged; wrappers change what it sees, what it is, or what it says.

    `works_in` is the space that the wrapper needs predictions in, None if the rule's will do.
    """

    rule: Rule

    works_in: ClassVar[Space | None] = None

    @property
    def space(self) -> Space:
        return self.works_in or self.rule.space

    def within(self, moment: Moment) -> tuple[Rule, Moment]:
        """The rule as it stands at this moment, and the moment as it sees it."""
        return self.rule, moment

    def passes(self, moment: Moment) -> tuple[str, ...]:
        rule, seen = self.within(moment)
        return rule.passes(seen)

    def patches(self, moment: Moment) -> Mapping[str, Patch]:
        rule, seen = self.within(moment)
        return patches_of(rule, seen)

    def combine(self, predictions: Predictions, moment: Moment, memory: Memory) -> Any:
        rule, seen = self.within(moment)
        return rule.combine(predictions, seen, memory)
