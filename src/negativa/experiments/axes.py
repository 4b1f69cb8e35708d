"""Axes: what varies in an experiment, and how that is written.

    NAME=VALUE,VALUE,...      as in scale=1,2,5 or window=0:1,0.2:0.5
    NAME=VALUE|VALUE|...      where a value may hold a comma, as in negative=|mustache|hat, glasses

NAME is a field of the recipe, `negative-weight`, `negative-start` or `negative-stop` (of every negative there is), or
`prompt:TEXT` or `negative:TEXT`: then each value takes the place of TEXT wherever it stands in them; or `knob:NAME`, a knob
of the rule. An empty value of `wrappers` is none, of `negative` no negative; any other is one negative, as in "mustache",
"mustache:0.5" or "mustache:1:0.2:1" (its weight, start and stop).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import product
from typing import Any, Final

from negativa import rules
from negativa.errors import InputError, nearest
from negativa.language.named import expand
from negativa.language.negatives import parse_negative, write_negative
from negativa.plain.conditions import Negative
from negativa.plain.knobs import KNOBS
from negativa.plain.recipe import Recipe
from negativa.plain.windows import window

FIELDS: Final = tuple(field.name for field in fields(Recipe) if field.name != "knobs")
OF_NEGATIVES: Final = {"negative-weight": "weight", "negative-start": "start", "negative-stop": "stop"}
SEARCHED: Final = ("prompt", "negative")
KNOB: Final = "knob"


@dataclass(frozen=True)
class Axis:
    """What varies and the values it takes; see the module for the names.

    Raises `InputError` for an unknown name, no values, one given twice, or one that no recipe can have.
    """

    name: str
    values: tuple[Any, ...]

    def __post_init__(self) -> None:
        name, mark, _ = self.name.partition(":")
        object.__setattr__(self, "name", self.name if mark else _field(name))
        object.__setattr__(self, "values", tuple(self.values))
        if mark and (name not in (*SEARCHED, KNOB) or not self._search):
            raise InputError(f"axis: {self.name!r} was given; allowed: prompt:TEXT or negative:TEXT, knob:NAME")
        if not self.values:
            raise InputError(f"axis {self.name}: no values were given; allowed: one or more")
        for i, value in enumerate(self.values):
            if value in self.values[:i]:
                raise InputError(f"axis {self.name}: {self.labels[i]!r} was given twice; allowed: every value once")
            changed = self.change(Recipe("x", "x"), value)
            if name != KNOB:  # which the rule decides about
                rules.build(changed)

    @property
    def labels(self) -> tuple[str, ...]:
        """The values as they are written beside pictures."""
        return tuple(map(_label, self.values))

    @property
    def headings(self) -> tuple[str, ...]:
        """The values with the axis' name where they do not speak for themselves."""
        speaks = ":" in self.name and self._searched in SEARCHED
        return self.labels if speaks else tuple(f"{self.name} {label}" for label in self.labels)

    def acts_on(self, recipe: Recipe) -> bool:
        """Whether there is something in the recipe for this axis to change."""
        if self.name in OF_NEGATIVES:
            return bool(recipe.negative)
        if ":" not in self.name or self._searched == KNOB:
            return True
        texts = [recipe.prompt] if self._searched == "prompt" else [one.text for one in recipe.negative]
        return any(self._search in text for text in texts)

    def change(self, recipe: Recipe, value: Any) -> Recipe:
        """The recipe with this axis at that value. Raises `InputError` for a value that a recipe cannot have."""
        if self.name in OF_NEGATIVES:
            return recipe.replace(negative=tuple(replace(one, **{OF_NEGATIVES[self.name]: value}) for one in recipe.negative))
        if ":" not in self.name:
            return recipe.replace(**{self.name: value})
        if self._searched == KNOB:
            return recipe.replace(knobs=dict(recipe.knobs) | {self._search: value})
        if not isinstance(value, str):
            raise InputError(f"axis {self.name}: {value!r} was given; allowed: texts")
        if self._searched == "prompt":
            return recipe.replace(prompt=recipe.prompt.replace(self._search, value))
        return recipe.replace(
            negative=tuple(
                replace(one, condition=one.condition.replace(self._search, value)) if isinstance(one.condition, str) else one
                for one in recipe.negative
            )
        )

    @property
    def _searched(self) -> str:
        return self.name.partition(":")[0]

    @property
    def _search(self) -> str:
        return self.name.partition(":")[2]

    @property
    def _turn(self) -> int:
        """Whole fields are set first, then texts are searched, then what negatives there are is weighed."""
        return 2 if self.name in OF_NEGATIVES else int(":" in self.name)


def parse_axis(text: str) -> Axis:
    """The axis that is written so; see the module. Raises `InputError` for an unknown axis or value."""
    name, mark, written = text.partition("=")
    if not mark:
        raise InputError(f"axis: {text!r} was given; allowed: NAME=VALUE,VALUE or NAME=VALUE|VALUE")
    search, name = ":" in name, name.strip()
    values = [value.strip() for value in written.split("|" if "|" in written else ",")]
    if name.startswith(f"{KNOB}:"):
        return Axis(name, tuple(_number(name, value, float) for value in values))
    if search and name.partition(":")[0] == "negative":
        values = [expand(value) for value in values]
    return Axis(name, tuple(values if search else [_value(_field(name), value) for value in values]))


def combine(recipe: Recipe, axes: Sequence[Axis]) -> dict[tuple[int, ...], Recipe]:
    """The recipe at every combination of values; a key has the number of a value for each axis, in their order.

    Raises `InputError` if two axes have one name, or an axis has nothing to change.
    """
    names = [axis.name for axis in axes]
    for i, name in enumerate(names):
        if name in names[:i]:
            raise InputError(f"axis: {name!r} was given twice; allowed: every axis once")
    acted: set[str] = set()
    found: dict[tuple[int, ...], Recipe] = {}
    for key in product(*(range(len(axis.values)) for axis in axes)):
        one = recipe
        for axis, i in sorted(zip(axes, key, strict=True), key=lambda pair: pair[0]._turn):
            if axis.acts_on(one):
                acted.add(axis.name)
            one = axis.change(one, axis.values[i])
        found[key] = one
    for axis in axes:
        if axis.name not in acted:
            raise InputError(f"axis {axis.name}: it changes nothing; {_missing(axis, recipe)}")
    return found


def _missing(axis: Axis, recipe: Recipe) -> str:
    if axis.name in OF_NEGATIVES or (not recipe.negative and axis._searched == "negative"):
        return "there is no negative; give one, or an axis of them"
    return f"the {axis._searched} does not hold {axis._search!r}"


def _field(name: str) -> str:
    """The name of a field of the recipe, or of something all negatives have."""
    known = name if name in OF_NEGATIVES else name.replace("-", "_")
    if known not in (*FIELDS, *OF_NEGATIVES):
        names = (*FIELDS, *OF_NEGATIVES, "prompt:TEXT", "negative:TEXT", "knob:NAME")
        raise InputError(f"axis: there is no axis {name!r}; {nearest(name, names)}")
    return known


def _value(name: str, text: str) -> Any:
    """A value as its field keeps it."""
    if name == "window":
        return window(text)
    if name in OF_NEGATIVES:
        return _number(name, text, float)
    if name in KNOBS:
        return _number(name, text, int if KNOBS[name].whole else float)
    if not text and name not in (*SEARCHED, "wrappers"):
        raise InputError(f"{name}: an empty value was given; allowed: a name")
    return (parse_negative(text) if text else "") if name == "negative" else text


def _number(name: str, text: str, kind: type) -> Any:
    try:
        if kind is float or re.fullmatch(r"[+-]?\d{1,30}", text):
            return kind(text)
    except ValueError:
        pass
    raise InputError(f"{name}: {text!r} was given; allowed: {'whole numbers' if kind is int else 'numbers'}")


def _label(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.12g}"
    if isinstance(value, Negative):
        return write_negative(value) if value.text else value.label
    if isinstance(value, tuple | list):
        return (":" if all(isinstance(one, int | float) for one in value) else ", ").join(map(_label, value)) or "none"
    return str(value) or "none"
