"""Knobs: the numbers of a recipe, each with its default, range and help declared here once, for every app to draw."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, field, fields
from numbers import Integral, Real
from typing import Any, Final

from negativa.errors import InputError, nearest


@dataclass(frozen=True)
class Knob:
    """A number that may be set: its default, least and most allowed value, and a sentence of help.

    `whole` numbers are int, others float; a default of None is filled in by the model.
    """

    default: Any
    least: float
    most: float
    help: str
    whole: bool = True

    def check(self, field: str, value: object) -> float | None:
        """The value as it is kept. Raises `InputError` if it is of the wrong kind or out of range."""
        if value is None and self.default is None:
            return None
        kept = whole(field, value, int(self.least), int(self.most)) if self.whole else number(field, value)
        if not self.least <= kept <= self.most:
            raise InputError(f"{field}: {value!r} was given; allowed: from {self.least:g} to {self.most:g}")
        return kept


def knob(default: float, least: float, most: float, help: str) -> Any:
    """A field of a rule that a person may set: a number, with its range and a sentence of help."""
    return field(default=default, metadata={"knob": Knob(default, least, most, help, whole=False)})


def knobs_of(kind: type) -> dict[str, Knob]:
    """The knobs of a rule by name."""
    return {one.name: one.metadata["knob"] for one in fields(kind) if "knob" in one.metadata}


KNOBS: Final[dict[str, Knob]] = {
    "seed": Knob(0, 0, 2**64 - 1, "Decides the noise."),
    "steps": Knob(30, 1, 1000, "Steps from noise to picture."),
    "scale": Knob(None, -1000.0, 1000.0, "Guidance scale, 1 is no guidance; the model's own if not given.", whole=False),
    "distilled_scale": Knob(None, 0.0, 1000.0, "What a model distilled from guidance is told of its scale.", whole=False),
    "width": Knob(None, 1, 8192, "Pixels; the model's own size if not given."),
    "height": Knob(None, 1, 8192, "Pixels; the model's own size if not given."),
}


def number(field: str, value: object) -> float:
    """`value` as a finite float, -0 as 0. Raises `InputError` if it is none."""
    try:
        if not isinstance(value, bool) and isinstance(value, Real) and math.isfinite(value):
            return float(value) + 0.0
    except OverflowError:  # a whole number beyond any float
        pass
    raise InputError(f"{field}: {_shown(value)} was given; allowed: a finite number")


def whole(field: str, value: object, least: int, most: int) -> int:
    """`value` as an int in least..most. Raises `InputError` if it is none."""
    if isinstance(value, Integral) and not isinstance(value, bool) and least <= int(value) <= most:
        return int(value)
    raise InputError(f"{field}: {_shown(value)} was given; allowed: a whole number from {least} to {most}")


def text(field: str, value: object) -> str:
    """`value` as a text that can be written down. Raises `InputError` if it is none."""
    if not isinstance(value, str):
        raise InputError(f"{field}: {_shown(value)} was given; allowed: a text")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{field}: the text holds half a character (a lone surrogate); allowed: valid Unicode") from error
    return value


def one_of(field: str, value: object, allowed: Collection[str]) -> str:
    """`value`, one of the names allowed. Raises `InputError` if it is none of them."""
    if not isinstance(value, str) or value not in allowed:
        raise InputError(f"{field}: {_shown(value)} was given; {nearest(str(value), allowed)}")
    return value


def _shown(value: object) -> str:
    try:
        said = repr(value)
    except ValueError:  # a whole number of more digits than Python prints
        said = "a very large number"
    return said if len(said) <= 80 else f"{said[:80]}…"
