"""The positive prompt alone: no guidance, no negative.

    guided = c

c is the prediction under the prompt. Space: any. Cost: 1 pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from negativa.plain.passes import POSITIVE, Moment
from negativa.rules.rule import Memory, Predictions, Space


@dataclass(frozen=True)
class Unguided:
    """The prediction as it is; has no knobs."""

    space: ClassVar[Space] = "any"

    def passes(self, moment: Moment) -> tuple[str, ...]:
        return (POSITIVE,)

    def combine(self, predictions: Predictions, moment: Moment, memory: Memory) -> Any:
        return predictions[POSITIVE]
