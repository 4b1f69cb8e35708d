"""What quality negatives share: a worse version of the prompt's prediction takes part in what is moved away from.

    start  = (1 - k) b + k p
    guided = start + s (c - start)

c is the prediction under the prompt, b the baseline, which the negatives move (u + sum_i w_i (n_i - u), see cfg), p the worse
version of c, s the scale, k the `share`. Papers write u + s' (c - u) + s'' (c - p): that is s = s' + s'' and
k = s'' / (s' + s'' - 1). At share 0 it is cfg; at share 1 the worse version is all that is moved away from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from negativa.plain.knobs import knob, knobs_of
from negativa.plain.passes import POSITIVE, WORSE, Moment, Patch
from negativa.rules.baseline import baseline, baseline_passes
from negativa.rules.rule import Memory, Predictions, Space

OWN: Final = ("share", "first", "last")  # knobs that are the rule's own; the others are its patch's


@dataclass(frozen=True)
class Worse:
    """`scale`: 1 is the prompt alone; larger values move further from the baseline and the worse version."""

    scale: float
    share: float = knob(0.5, 0.0, 1.0, "Share of the worse version in what is moved away from; the rest is the negatives'.")

    space: ClassVar[Space] = "any"
    from_baseline: ClassVar[bool] = True
    worse: ClassVar[str] = WORSE  # the name of the pass that gives the worse version
    patch: ClassVar[str | None] = None  # what makes it worse; its numbers are the rule's other knobs

    def now(self, moment: Moment) -> float:
        """The share at this moment."""
        return self.share

    def passes(self, moment: Moment) -> tuple[str, ...]:
        if self.scale == 1:
            return (POSITIVE,)
        share = self.now(moment)
        return (POSITIVE, *(baseline_passes(moment) if share != 1 else ()), *((self.worse,) if share else ()))

    def patches(self, moment: Moment) -> Mapping[str, Patch]:
        if self.patch is None or self.worse not in self.passes(moment):
            return {}
        numbers = tuple((name, getattr(self, name)) for name in knobs_of(type(self)) if name not in OWN)
        return {self.worse: Patch(self.patch, numbers)}

    def combine(self, predictions: Predictions, moment: Moment, memory: Memory) -> Any:
        c, s, k = predictions[POSITIVE], self.scale, self.now(moment)
        if s == 1:
            return c
        b = baseline(predictions, moment) if k != 1 else 0.0
        start = (1 - k) * b + k * (predictions[self.worse] if k else 0.0)
        return start + s * (c - start)
