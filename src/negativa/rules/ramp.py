"""A ramp: the scale grows or falls from step to step.

    scale_i = 1 + (s - 1) (first + (last - first) f(p))        p = (i + 1/2) / N
    f(p)    = p, or (1 - cos(pi p)) / 2

s is the scale of the rule, i the step of N, counted from 0 and taken in its middle. Wang et al. 2024, arXiv 2404.13040, whose
omega is s - 1: its linear and cosine schedules grow from 0 to 2 times omega, so that the sum over the steps is that of a
constant scale; these are the defaults. Space: that of the rule. Cost: that of the rule.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import cos, pi
from typing import Any, Literal, get_args

from negativa.errors import InputError, nearest
from negativa.plain.knobs import knob
from negativa.plain.passes import Moment
from negativa.rules.rule import Rule
from negativa.rules.wrapper import Wrapper

Shape = Literal["linear", "cosine"]


@dataclass(frozen=True)
class Ramp(Wrapper):
    """`rule`, inside other wrappers or not, with a scale that changes. Raises `InputError` for an unknown `shape`."""

    shape: Shape = "linear"
    first: float = knob(0.0, -10.0, 10.0, "Share of the push (scale - 1) at the start, in noise.")
    last: float = knob(2.0, -10.0, 10.0, "Share of the push at the end.")

    def __post_init__(self) -> None:
        if self.shape not in get_args(Shape):
            raise InputError(f"ramp shape: {self.shape!r} was given; {nearest(str(self.shape), get_args(Shape))}")

    def within(self, moment: Moment) -> tuple[Rule, Moment]:
        p = (moment.step + 0.5) / moment.steps
        f = p if self.shape == "linear" else (1 - cos(pi * p)) / 2
        return _pushing(self.rule, self.first + (self.last - self.first) * f), moment


def _pushing(rule: Any, share: float) -> Any:
    """`rule` with `share` of its push; a rule without a scale as it is."""
    if hasattr(rule, "rule"):
        return replace(rule, rule=_pushing(rule.rule, share))
    return replace(rule, scale=1 + (rule.scale - 1) * share) if hasattr(rule, "scale") else rule
