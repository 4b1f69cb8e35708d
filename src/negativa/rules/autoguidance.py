"""Autoguidance: away from what a weaker model predicts under the same prompt.

    start  = (1 - k) b + k p
    guided = start + s (c - start)

c is the prediction under the prompt, p that of the recipe's `weaker` model, or of this one with other LoRAs (`--weaker
lora=FILE:0.5`), b the baseline, which the negatives move (see cfg), s the scale, k the `share`. Karras et al. 2024, arXiv
2406.02507, is share 1, where the negatives are not heard; its weaker model is a smaller or less trained one of the same data.
Cost: one pass more than cfg, the weaker model's; 2 at share 1, 1 at scale 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from negativa.plain.passes import WEAKER
from negativa.rules.worse import Worse


@dataclass(frozen=True)
class Autoguidance(Worse):
    """`scale`: 1 is the prompt alone; all negatives act through the baseline, at any share below 1."""

    worse: ClassVar[str] = WEAKER
