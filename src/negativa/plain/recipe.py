"""A recipe: all that decides an image."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from negativa.errors import InputError, nearest
from negativa.plain import samplers, windows
from negativa.plain.conditions import EMPHASES, SYNTAXES, Emphasis, Negative, Nothing, NothingKind
from negativa.plain.files import Paths, Weighed, paths, weighed
from negativa.plain.images import Image, is_picture
from negativa.plain.knobs import KNOBS, number, one_of, text

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

LATER: Final = frozenset({"distilled_scale", "keep"})  # fields of recipes and negatives that came after there were recipes

Knobs = Mapping[str, float] | Sequence[tuple[str, float]] | None
Negatives: TypeAlias = "str | Negative | Image | Picture | Sequence[str | Negative | Image | Picture] | None"
Images: TypeAlias = "Image | Picture | Sequence[Image | Picture] | None"


@dataclass(frozen=True, init=False)
class Recipe:
    """All that decides an image, frozen; the same recipe on the same model gives the same picture.

    `negative` takes a text, a picture (`Image` or PIL), a `Negative`, or several of them, and is kept as a tuple of `Negative`;
    empty texts are no negatives. `images` are pictures to follow beside the prompt, each through its adapter. `no_image` says
    what stands where an adapter reads a picture and a pass has none: a key of `NO_IMAGES`, or a folder whose mean it is.
    `scale` 1 is the prompt alone, but for rules that push from nothing, or inside attention, and hear negatives still. `knobs`
    are the rule's own numbers by name, kept as sorted pairs; those that are not given take the rule's defaults. `wrappers` are
    what the rule is wrapped in, the first innermost: "rescale", "interval:low=0.3:high=5". `window` (start, stop) bounds all
    negatives, on top of their own; "noun" and "adjective" are published ones. `nothing` says what stands where no text is
    given. `width` and `height` are pixels.
    `scale`, `sampler`, `nothing`, `width`, `height` and `model` may be None: the studio's model fills them in (`scale` for
    rules that have one, `sampler` with one that the rule works with), as it does `distilled_scale`, what a model that was
    distilled from guidance (Flux) is told of the scale of that, if it is one.
    `weaker` is what rules like autoguidance move away from: another model by its name, folder, file or hub id, or this one
    with LoRAs, weighed as in `loras`, in the place of the recipe's own. Names of rules, knobs,
    wrappers and models are checked by the studio, which knows them. `syntax` says how weights and schedules are written in
    the texts, `emphasis` what weights do there; None is what belongs to the syntax. `embeddings` are files, or folders of
    them, whose names are words of the texts. `loras` are LoRA files that change the model in every pass, each with a weight
    from -10 to 10, 1 if it is not given; another, weaker model is not changed.
    Raises `InputError` for a value of the wrong type or out of range.
    """

    prompt: str
    negative: tuple[Negative, ...]
    seed: int
    steps: int
    scale: float | None
    sampler: str | None
    rule: str
    knobs: tuple[tuple[str, float], ...]
    wrappers: tuple[str, ...]
    window: tuple[float, float]
    nothing: NothingKind | None
    width: int | None
    height: int | None
    model: str | None
    weaker: str | tuple[tuple[str, float], ...] | None
    syntax: str
    emphasis: Emphasis | None
    images: tuple[Image, ...]
    no_image: str
    embeddings: tuple[str, ...]
    loras: tuple[tuple[str, float], ...]
    distilled_scale: float | None

    def __init__(
        self,
        prompt: str = "",
        negative: Negatives = None,
        seed: int = KNOBS["seed"].default,
        steps: int = KNOBS["steps"].default,
        scale: float | None = KNOBS["scale"].default,
        sampler: str | None = None,
        rule: str = "cfg",
        knobs: Knobs = None,
        wrappers: str | Sequence[str] = (),
        window: str | Sequence[float] = (0.0, 1.0),
        nothing: NothingKind | None = None,
        width: int | None = None,
        height: int | None = None,
        model: str | None = None,
        weaker: Weighed = None,
        syntax: str = "a1111",
        emphasis: Emphasis | None = None,
        images: Images = None,
        no_image: str = "trained",
        embeddings: Paths = None,
        loras: Weighed = None,
        distilled_scale: float | None = KNOBS["distilled_scale"].default,
    ) -> None:
        values: dict[str, Any] = {
            "prompt": text("prompt", prompt),
            "negative": _negatives(negative),
            "sampler": None if sampler is None else samplers.known(text("sampler", sampler)),
            "rule": text("rule", rule),
            "knobs": _knobs(knobs),
            "wrappers": _wrappers(wrappers),
            "window": windows.window(window),
            "nothing": None if nothing is None else Nothing(nothing).kind,
            "model": None if model is None else text("model", model),
            "weaker": text("weaker", weaker) if isinstance(weaker, str) else weighed(weaker) or None,
            "syntax": one_of("syntax", syntax, SYNTAXES),
            "emphasis": None if emphasis is None else one_of("emphasis", emphasis, EMPHASES),
            "images": _images(images),
            "no_image": text("no_image", no_image),
            "embeddings": paths("embeddings", embeddings),
            "loras": weighed(loras),
        }
        numbers = {"seed": seed, "steps": steps, "scale": scale, "width": width, "height": height}
        numbers |= {"distilled_scale": distilled_scale}
        values |= {name: KNOBS[name].check(name, value) for name, value in numbers.items()}
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def replace(self, **changes: Any) -> Recipe:
        """This recipe with some fields changed. Raises `InputError` for an unknown field."""
        _known_fields(changes)
        return replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, every field present but those of `LATER` that are None: recipes keep the hash they had."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        values = {name: value for name, value in values.items() if value is not None or name not in LATER}
        values["negative"] = [_written(one) for one in self.negative]
        values["images"] = [one.to_dict() for one in self.images]
        values["knobs"] = dict(self.knobs)
        values["wrappers"] = list(self.wrappers)
        values["window"] = list(self.window)
        values["embeddings"] = list(self.embeddings)
        values["loras"] = [list(one) for one in self.loras]
        values["weaker"] = [list(one) for one in self.weaker_loras] or self.weaker
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
    def from_json(cls, line: str) -> Recipe:
        """The inverse of `to_json`. Raises `InputError` for text that is not JSON or holds an unknown field."""
        try:
            values = json.loads(line)
        except (TypeError, ValueError, RecursionError) as error:
            raise InputError(f"recipe: the text is not JSON ({error}); allowed: what Recipe.to_json writes") from error
        return cls.from_dict(values)

    @property
    def weaker_loras(self) -> tuple[tuple[str, float], ...]:
        """The LoRAs that this model has where it is the weaker one; none where that is another model."""
        return self.weaker if isinstance(self.weaker, tuple) else ()

    @property
    def hash(self) -> str:
        """Sixteen hexadecimal digits that are the same for equal recipes, in every process and version of Python."""
        line = json.dumps(self.to_dict(), sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(line.encode()).hexdigest()[:16]


def _known_fields(values: Mapping[str, Any]) -> None:
    names = [f.name for f in fields(Recipe)]
    for name in values:
        if name not in names:
            raise InputError(f"recipe: there is no field {name!r}; {nearest(str(name), names)}")


def _knobs(given: Any) -> tuple[tuple[str, float], ...]:
    pairs = given.items() if isinstance(given, Mapping) else given or ()
    try:
        found = {text("knobs", name): number(f"knobs: {name}", value) for name, value in pairs}
    except (TypeError, ValueError) as error:
        raise InputError(f"knobs: {given!r} was given; allowed: numbers by name, as in {{'momentum': 0.5}}") from error
    return tuple(sorted(found.items()))


def _wrappers(given: Any) -> tuple[str, ...]:
    if not isinstance(given, Sequence):
        raise InputError(f"wrappers: {given!r} was given; allowed: a text, or several")
    return tuple(text("wrappers", one) for one in ((given,) if isinstance(given, str) else given) if one != "")


def _images(given: Any) -> tuple[Image, ...]:
    if given is None:
        return ()
    several = given if isinstance(given, Sequence) and not isinstance(given, str) else (given,)
    return tuple(map(_image, several))


def _image(given: Any) -> Image:
    if isinstance(given, Mapping):
        return Image.from_dict(given)
    return given if isinstance(given, Image) else Image(given)


def _negatives(given: Any) -> tuple[Negative, ...]:
    if given is None:
        return ()
    if not isinstance(given, Sequence) or isinstance(given, str):
        given = (given,)
    return tuple(negative for one in given if not (negative := _negative(one)).empty)


def _negative(given: Any) -> Negative:
    if isinstance(given, Negative):
        return given
    if isinstance(given, Mapping):
        names = [f.name for f in fields(Negative)]
        for name in given:
            if name not in names:
                raise InputError(f"negative: there is no field {name!r}; {nearest(str(name), names)}")
        if "condition" not in given:
            raise InputError("negative: the field 'condition' is missing; allowed: a text or picture to stay away from")
        values: dict[str, Any] = {k: Image.from_dict(v) if isinstance(v, Mapping) else v for k, v in given.items()}
        return Negative(**values)
    if isinstance(given, str | Image) or is_picture(given):
        return Negative(given)
    raise InputError(f"negative: {given!r} was given; allowed: a text, an Image, a PIL picture or a Negative")


def _written(negative: Negative) -> dict[str, Any]:
    """Plain JSON values, as `Recipe.to_dict` has them."""
    values = {f.name: getattr(negative, f.name) for f in fields(negative)}
    values = {name: value for name, value in values.items() if value is not None or name not in LATER}
    return {name: value.to_dict() if isinstance(value, Image) else value for name, value in values.items()}
