"""Tangential damping: of the baseline, only what lies along the direction it shares with the prompt's prediction.

    v      = first right singular vector of the two rows c, b
    b'     = <b, v> v
    guided = b' + s (c - b')

c is the prediction under the prompt, b the baseline, which the negatives move: u + sum_i w_i (n_i - u); s is the scale. Kwon et
al. 2025, arXiv 2503.18137. With two rows the decomposition is a rotation by theta, where

    tan 2 theta = 2 <c, b> / (|c|^2 - |b|^2)        b' = sin(2 theta) / 2 c + (1 - cos(2 theta)) / 2 b

and so needs no division by a small number. Space: noise, the score up to a factor, as in the paper. Cost: 1 pass at scale 1,
otherwise that of cfg.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from negativa.plain.passes import POSITIVE, Moment
from negativa.rules.baseline import baseline, passes_from_baseline
from negativa.rules.rule import Memory, Predictions, Space


@dataclass(frozen=True)
class Tangential:
    """`scale`: 1 is the prompt alone. All negatives act through the baseline."""

    scale: float

    space: ClassVar[Space] = "noise"
    from_baseline: ClassVar[bool] = True

    def passes(self, moment: Moment) -> tuple[str, ...]:
        return passes_from_baseline(moment, self.scale)

    def combine(self, predictions: Predictions, moment: Moment, memory: Memory) -> Any:
        c, s = predictions[POSITIVE], self.scale
        if s == 1:
            return c
        b = baseline(predictions, moment)
        across, along = (c * c - b * b).sum(), 2 * (c * b).sum()
        length = across.hypot(along).clamp(min=1e-12)
        cos, sin = across / length, along / length
        b = sin / 2 * c + (1 - cos) / 2 * b
        return b + s * (c - b)
