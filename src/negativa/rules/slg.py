"""Skip layer guidance: away from the prompt's prediction by a network whose middle blocks are skipped, in early steps.

    start  = (1 - k) b + k p,     k = 0 before `first` and from `last` on
    guided = start + s (c - start)

c is the prediction under the prompt, p the same without three layers of Stable Diffusion 3's transformer, 7 to 9, or without
the transformer blocks in the middle of a U-Net, b the baseline, which the negatives move (see cfg), s the scale, k the
`share`. Stability AI 2024, published with the code of Stable Diffusion 3.5, without a paper: u + s' (c - u) + 2.8 (c - p)
from 1 to 20 % of the steps; the middle of the U-Net is our reading, and s outside those steps too, where they have s'. A
negative of quality, without words.
Cost: one pass more than cfg between `first` and `last`, otherwise that of cfg; 1 at scale 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from negativa.plain.conditions import inside
from negativa.plain.knobs import knob
from negativa.plain.passes import Moment
from negativa.rules.worse import Worse


@dataclass(frozen=True)
class SkipLayer(Worse):
    """`scale`: 1 is the prompt alone; all negatives act through the baseline. Outside its steps it is cfg."""

    first: float = knob(0.01, 0.0, 1.0, "Share of the steps before it acts.")
    last: float = knob(0.2, 0.0, 1.0, "Share of the steps after which it no longer acts.")

    patch: ClassVar[str | None] = "slg"

    def now(self, moment: Moment) -> float:
        return self.share if inside(moment.step, moment.steps, self.first, self.last) else 0.0
