"""A recipe: all that decides an image."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final

from negativa.errors import InputError, nearest
from negativa.plain import samplers
from negativa.plain.conditions import Negative, Nothing, NothingKind, check_window, number

LARGEST_SEED: Final = 2**64 - 1
LARGEST_SIDE: Final = 8192
MOST_STEPS: Final = 1000

Negatives = str | Negative | Sequence[str | Negative] | None


@dataclass(frozen=True, init=False)
class Recipe:
    """All that decides an image, frozen; the same recipe on the same model gives the same picture.

    `negative` takes a text, a `Negative`, or several of either, and is kept as a tuple of `Negative`; empty texts are
    no negatives. `scale` 1 is the positive prompt alone. `window` (start, stop) bounds all negatives, on top of their
    own. `nothing` says what stands where no text is given. `width` and `height` are pixels, None the model's own size;
    `model` None is the studio's own. Names of rules and models are checked by the studio, which knows them.
    Raises `InputError` for a value of the wrong type or out of range.
    """

    prompt: str = ""
    negative: tuple[Negative, ...] = field(default=())
    seed: int = 0
    steps: int = 30
    scale: float = 7.5
    sampler: str = "euler_a"
    rule: str = "cfg"
    window: tuple[float, float] = (0.0, 1.0)
    nothing: NothingKind = "empty"
    width: int | None = None
    height: int | None = None
    model: str | None = None

    def __init__(
        self,
        prompt: str = "",
        negative: Negatives = None,
        seed: int = 0,
        steps: int = 30,
        scale: float = 7.5,
        sampler: str = "euler_a",
        rule: str = "cfg",
        window: Sequence[float] = (0.0, 1.0),
        nothing: NothingKind = "empty",
        width: int | None = None,
        height: int | None = None,
        model: str | None = None,
    ) -> None:
        if not isinstance(window, Sequence) or isinstance(window, str) or len(window) != 2:
            raise InputError(f"window: {window!r} was given; allowed: two numbers, start and stop, in 0..1")
        start, stop = (number("window", value) for value in window)
        check_window("window", start, stop)
        values = {
            "prompt": _text("prompt", prompt),
            "negative": _negatives(negative),
            "seed": _whole("seed", seed, 0, LARGEST_SEED),
            "steps": _whole("steps", steps, 1, MOST_STEPS),
            "scale": number("scale", scale),
            "sampler": samplers.known(_text("sampler", sampler)),
            "rule": _text("rule", rule),
            "window": (start, stop),
            "nothing": Nothing(nothing).kind,
            "width": None if width is None else _whole("width", width, 1, LARGEST_SIDE),
            "height": None if height is None else _whole("height", height, 1, LARGEST_SIDE),
            "model": None if model is None else _text("model", model),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def replace(self, **changes: Any) -> Recipe:
        """This recipe with some fields changed. Raises `InputError` for an unknown field."""
        _known_fields(changes)
        return replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, every field present."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        values["negative"] = [{f.name: getattr(n, f.name) for f in fields(n)} for n in self.negative]
        values["window"] = list(self.window)
        return values

    def to_json(self) -> str:
        """One line of JSON, keys in the order of the fields."""
        return json.dumps(self.to_dict(), ensure_ascii=False)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Recipe:
        """The inverse of `to_dict`; missing fields take their defaults. Raises `InputError` for unknown ones."""
        if not isinstance(values, Mapping):
            raise InputError(f"recipe: {type(values).__name__} was given; allowed: a JSON object of fields")
        _known_fields(values)
        return cls(**values)

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """The inverse of `to_json`. Raises `InputError` for text that is not JSON or holds an unknown field."""
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError(f"recipe: the text is not JSON ({error}); allowed: what Recipe.to_json writes") from error
        return cls.from_dict(values)

    @property
    def hash(self) -> str:
        """Sixteen hexadecimal digits that are the same for equal recipes, in every process and version of Python."""
        text = json.dumps(self.to_dict(), sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def _known_fields(values: Mapping[str, Any]) -> None:
    names = [f.name for f in fields(Recipe)]
    for name in values:
        if name not in names:
            raise InputError(f"recipe: there is no field {name!r}; {nearest(str(name), names)}")


def _negatives(given: Any) -> tuple[Negative, ...]:
    if given is None:
        return ()
    if isinstance(given, str | Negative):
        given = (given,)
    if not isinstance(given, Sequence):
        raise InputError(f"negative: {given!r} was given; allowed: a text, a Negative, or several of them")
    return tuple(negative for one in given if (negative := _negative(one)).condition.strip())


def _negative(given: Any) -> Negative:
    if isinstance(given, Negative):
        return given
    if isinstance(given, Mapping):
        names = [f.name for f in fields(Negative)]
        for name in given:
            if name not in names:
                raise InputError(f"negative: there is no field {name!r}; {nearest(str(name), names)}")
        if "condition" not in given:
            raise InputError("negative: the field 'condition' is missing; allowed: a text to stay away from")
        return Negative(**given)
    if isinstance(given, str):
        return Negative(given)
    raise InputError(f"negative: {given!r} was given; allowed: a text or a Negative")


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise InputError(f"{name}: {value!r} was given; allowed: a text")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{name}: the text holds half a character (a lone surrogate); allowed: valid Unicode") from error
    return value


def _whole(name: str, value: object, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise InputError(f"{name}: {value!r} was given; allowed: a whole number from {least} to {most}")
    return value
