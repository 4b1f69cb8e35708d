"""An interval of noise levels: inside it the rule acts, outside it the prompt alone, which costs one pass.

    the rule acts while low < sigma / alpha <= high

sigma / alpha is how much noise there is beside the picture. Kynkäänniemi et al. 2024, arXiv 2404.07724; (0.28,
5.42] is theirs for SDXL. A `Window` takes away the negatives only and counts steps; this takes away all guidance. A moment
whose noise is not known yet (sigma 0) counts as inside. Space: that of the rule. Cost: 1 pass outside, that of the rule inside.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from negativa.errors import InputError
from negativa.plain.knobs import knob
from negativa.plain.passes import POSITIVE, Moment
from negativa.rules.rule import Memory, Predictions, Rule, Space


@dataclass(frozen=True)
class Interval:
    """`rule` between two noise levels. Raises `InputError` unless 0 <= low <= high."""

    rule: Rule
    low: float = knob(0.28, 0.0, 1e6, "Noise level (sigma, beside pictures of size 1) below which guidance ends.")
    high: float = knob(5.42, 0.0, 1e6, "Noise level from which guidance begins.")

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.high:
            raise InputError(f"interval: {self.low:g} and {self.high:g} were given; allowed: 0 <= low <= high")

    @property
    def space(self) -> Space:
        return self.rule.space

    def passes(self, moment: Moment) -> tuple[str, ...]:
        return self.rule.passes(moment) if self._acts(moment) else (POSITIVE,)

    def combine(self, predictions: Predictions, moment: Moment, memory: Memory) -> Any:
        return self.rule.combine(predictions, moment, memory) if self._acts(moment) else predictions[POSITIVE]

    def _acts(self, moment: Moment) -> bool:
        low, high = self.low * moment.alpha, self.high * moment.alpha  # not sigma / alpha: alpha may be 0
        return moment.sigma == 0 or low < moment.sigma <= high
