"""An interval of noise levels: inside it the rule acts, outside it the prompt alone, which costs one pass.

    the rule acts while low < sigma / alpha <= high

sigma / alpha is how much noise there is beside the picture. Kynkäänniemi et al. 2024, arXiv 2404.07724; (0.28, 5.42] is
theirs for SDXL. A `Window` takes away the negatives only and counts steps; this takes away all guidance. Space: that of the
rule. Cost: 1 pass outside, that of the rule inside.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from negativa.errors import InputError
from negativa.plain.knobs import knob
from negativa.plain.passes import Moment
from negativa.rules.none import Unguided
from negativa.rules.rule import Rule
from negativa.rules.wrapper import Wrapper

ALONE: Final[Any] = Unguided()


@dataclass(frozen=True)
class Interval(Wrapper):
    """`rule` between two noise levels. Raises `InputError` unless 0 <= low <= high."""

    low: float = knob(0.28, 0.0, 1e6, "Noise level (sigma, beside pictures of size 1) below which guidance ends.")
    high: float = knob(5.42, 0.0, 1e6, "Noise level from which guidance begins.")

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.high:
            raise InputError(f"interval: {self.low:g} and {self.high:g} were given; allowed: 0 <= low <= high")

    def within(self, moment: Moment) -> tuple[Rule, Moment]:
        low, high = self.low * moment.alpha, self.high * moment.alpha  # not sigma / alpha: alpha may be 0
        return self.rule if low < moment.sigma <= high else ALONE, moment
