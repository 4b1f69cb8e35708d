"""What rules that act inside attention share: the prompt's pass is patched, and guided away from nothing as ever.

    guided = u + s (c - u)

c is the prediction under the prompt with the patch in it, which reads the negatives that act at this step; u that under
nothing, s the scale. Ho & Salimans 2022, arXiv 2207.12598, equation 6. At scale 1 the patched pass is all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from negativa.plain.conditions import inside
from negativa.plain.knobs import knob, knobs_of
from negativa.plain.passes import NOTHING, POSITIVE, Moment, Patch
from negativa.rules.rule import Memory, Predictions, Space


@dataclass(frozen=True)
class Attended:
    """`scale` guides the prompt, away from nothing; the negatives act in the attention of the prompt's pass alone."""

    scale: float
    until: float = knob(1.0, 0.0, 1.0, "Share of the steps after which the negatives no longer act.")

    space: ClassVar[Space] = "any"
    patch: ClassVar[str]  # its name; its numbers are the rule's other knobs
    rows_each: ClassVar[int] = 0  # rows of the network that the patch needs for each negative
    idle_at_0: ClassVar[tuple[str, ...]] = ("push",)  # knobs of which none may be 0, or the patch changes nothing

    def passes(self, moment: Moment) -> tuple[str, ...]:
        return (POSITIVE,) if self.scale == 1 else (POSITIVE, NOTHING)

    def combine(self, predictions: Predictions, moment: Moment, memory: Memory) -> Any:
        c, s = predictions[POSITIVE], self.scale
        return c if s == 1 else predictions[NOTHING] + s * (c - predictions[NOTHING])

    def patches(self, moment: Moment) -> Mapping[str, Patch]:
        idle = any(getattr(self, name) == 0 for name in self.idle_at_0)
        if idle or not moment.negatives or not inside(moment.step, moment.steps, 0.0, self.until):
            return {}
        numbers = tuple((name, getattr(self, name)) for name in knobs_of(type(self)) if name != "until")
        against = tuple((one.name, one.weight) for one in moment.negatives)
        return {POSITIVE: Patch(self.patch, numbers, against, self.rows_each * len(against))}
