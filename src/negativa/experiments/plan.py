"""A plan: what a study compares, written down before it begins."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import product
from math import prod
from os import PathLike
from pathlib import Path
from typing import Any, Final, TypeVar

from negativa.errors import InputError, nearest
from negativa.experiments import fairness
from negativa.language.negatives import parse_negative, write_negative
from negativa.plain.knobs import KNOBS, number, text, whole
from negativa.plain.recipe import Recipe
from negativa.rules import build

MOST: Final = 100_000  # pictures of one study
MOST_SEED: Final = 2**63 - 1  # what SQLite keeps as a whole number
LABEL: Final = 40  # letters of a prompt or negative in a label

T = TypeVar("T", bound=Hashable)
Texts = str | Sequence[str]


@dataclass(frozen=True)
class Arm:
    """A recipe without its seed, and the label of the arm that differs from it only in having no negative."""

    label: str
    recipe: Recipe
    baseline: str | None = None

    def at(self, seed: int) -> Recipe:
        """The recipe of this arm with that seed."""
        return self.recipe.replace(seed=seed)


@dataclass(frozen=True, init=False)
class Plan:
    """What a study compares; frozen, JSON both ways, with a hash that is the same in every process.

    `prompts`, `negatives` ("" is none, "mustache:0.5" has a weight), `rules`, `scales` (None is the model's own) and `models`
    are the axes: every combination is an arm. One value may stand alone. `seeds` is a list, "32" (0 to 31) or "100:132", end
    excluded; every arm has them all.
    `measures` are names as `negativa.measures.build` reads them. `handmade` are arms beside the product: a table each of
    `label` and fields of a recipe, where what is not said is the plan's. `title` and `claim` are shown in the report.
    Raises `InputError` for an unknown name, a wrong type, an empty list, a duplicate, or an unfair plan.
    """

    title: str
    claim: str
    prompts: tuple[str, ...]
    negatives: tuple[str, ...]
    rules: tuple[str, ...]
    scales: tuple[float | None, ...]
    models: tuple[str, ...]
    seeds: tuple[int, ...]
    steps: int
    sampler: str
    width: int | None
    height: int | None
    measures: tuple[str, ...]
    handmade: tuple[Arm, ...]

    def __init__(
        self,
        prompts: Texts,
        seeds: str | int | Sequence[int],
        negatives: Texts = "",
        rules: Texts = "cfg",
        scales: float | Sequence[float | None] | None = None,
        models: Texts = "terrarium",
        steps: int = KNOBS["steps"].default,
        sampler: str = "euler_a",
        width: int | None = None,
        height: int | None = None,
        measures: Texts | None = None,
        handmade: Sequence[Mapping[str, Any]] = (),
        title: str = "",
        claim: str = "",
    ) -> None:
        values: dict[str, Any] = {
            "title": text("title", title),
            "claim": text("claim", claim),
            "prompts": _listed("prompts", prompts, text),
            "negatives": _listed("negatives", negatives, _written),
            "rules": _listed("rules", rules, text),
            "scales": _listed("scales", scales, lambda field, value: None if value is None else number(field, value)),
            "models": _listed("models", models, text),
            "seeds": _seeds(seeds),
            "measures": () if measures is None else _listed("measures", measures, text),
            "steps": KNOBS["steps"].check("steps", steps),
            "sampler": Recipe(sampler=sampler).sampler,
            "width": KNOBS["width"].check("width", width),
            "height": KNOBS["height"].check("height", height),
            "handmade": (),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)
        object.__setattr__(self, "handmade", self._handmade(handmade))
        axes = (self.prompts, self.negatives, self.rules, self.scales, self.models)
        if (count := len(self.seeds) * (prod(map(len, axes)) + len(self.handmade))) > MOST:
            raise InputError(f"seeds: the plan has {count} pictures; allowed: at most {MOST}")
        fairness.check(self)

    def arms(self) -> list[Arm]:
        """Every arm: the product of the axes, then the handmade ones. A label names only what varies."""
        made = [*self._product(), *self.handmade]
        bare = {_bare(arm.recipe): arm.label for arm in reversed(made) if not arm.recipe.negative}
        return [Arm(arm.label, arm.recipe, bare.get(_bare(arm.recipe)) if arm.recipe.negative else None) for arm in made]

    @property
    def comparisons(self) -> int:
        """How many arms are compared with their baseline, by each measure."""
        return sum(arm.baseline is not None for arm in self.arms())

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, as `from_dict` and a TOML file name them; lists of nothing are left out."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "handmade"}
        listed = {name: list(value) for name, value in values.items() if isinstance(value, tuple)}
        arms = [{"label": arm.label} | {k: v for k, v in arm.recipe.to_dict().items() if k != "seed"} for arm in self.handmade]
        return {name: value for name, value in (values | listed | {"arms": arms}).items() if value != []}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Plan:
        """The inverse of `to_dict`; what is missing takes its default. Raises `InputError` as the class does."""
        names = [f.name if f.name != "handmade" else "arms" for f in fields(cls)]
        for name in values:
            if name not in names:
                raise InputError(f"plan: there is no key {name!r}; {nearest(str(name), names)}")
        for name in ("prompts", "seeds"):
            if name not in values:
                raise InputError(f"{name}: none was given; a plan needs it")
        return cls(**{("handmade" if name == "arms" else name): value for name, value in values.items()})

    @property
    def hash(self) -> str:
        """Sixteen hexadecimal digits that are the same for equal plans."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()[:16]

    def _product(self) -> list[Arm]:
        made = []
        for prompt, negative, rule, scale, model in product(self.prompts, self.negatives, self.rules, self.scales, self.models):
            said = (
                (self.prompts, f"“{_short(prompt, self.prompts)}”"),
                (self.negatives, f"not “{_short(negative, self.negatives)}”" if negative else "no negative"),
                (self.rules, rule),
                (self.scales, "the model's scale" if scale is None else f"scale {scale:g}"),
                (self.models, model),
            )
            label = ", ".join(words for axis, words in said if len(axis) > 1) or said[0][1]
            made.append(Arm(label, self._recipe(prompt=prompt, negative=negative, rule=rule, scale=scale, model=model)))
        return made

    def _handmade(self, tables: object) -> tuple[Arm, ...]:
        if not isinstance(tables, Sequence) or not all(isinstance(table, Mapping) for table in tables):
            raise InputError(f"arms: {tables!r} was given; allowed: tables ([[arms]]) of a label and fields of a recipe")
        made = []
        for number_, table in enumerate(tables, 1):
            label = text("label", table.get("label", ""))
            if not label.strip():
                raise InputError(f"label: arm number {number_} of [[arms]] has none; allowed: a text")
            fairness.check_table(label, table)
            given = {name: value for name, value in table.items() if name != "label"}
            for name, axis in fairness.DECLARED.items():
                if name not in given:
                    if len(getattr(self, axis)) > 1:
                        raise InputError(f"{name}: the arm {label!r} has none, and {axis} has several; allowed: one of them")
                    given[name] = getattr(self, axis)[0]
            made.append(Arm(label, self._recipe(**given)))
        return tuple(made)

    def _recipe(self, **values: Any) -> Recipe:
        shared = {name: getattr(self, name) for name in fairness.SHARED}
        if isinstance(given := values.get("negative"), str | list):
            several = [given] if isinstance(given, str) else given
            values["negative"] = [parse_negative(one) if isinstance(one, str) else one for one in several]
        recipe = Recipe.from_dict(shared | values)
        build(recipe)
        return recipe


def read_plan(path: str | PathLike[str]) -> Plan:
    """The plan in a TOML file. Raises `InputError` if the file cannot be read, is no TOML, or holds no fair plan."""
    try:
        values = tomllib.loads(Path(path).read_bytes().decode())
    except OSError as error:
        raise InputError(f"plan: {str(path)!r} could not be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise InputError(f"plan: {str(path)!r} is not TOML: {error}") from error
    return Plan.from_dict(values)


def read_seeds(written: str) -> range:
    """Seeds as they are written, a COUNT of them from 0 or FIRST:END, the end excluded; `InputError` for anything else."""
    found = re.fullmatch(r"\s*(?:(\d{1,20})\s*:)?\s*(\d{1,20})\s*", written)
    seeds = range(int(found[1] or 0), int(found[2])) if found else range(0)
    if not seeds:
        allowed = "COUNT, or FIRST:END (end excluded), as in '32' or '100:132'"
        raise InputError(f"seeds: {written[:80]!r} was given; allowed: {allowed}")
    if seeds.stop - seeds.start > MOST:
        raise InputError(f"seeds: {written!r} was given; allowed: at most {MOST} seeds")
    return seeds


def _bare(recipe: Recipe) -> Recipe:
    """The recipe without negatives, and without the window that bounds nothing else."""
    return recipe.replace(negative=None, window=(0.0, 1.0))


def _listed(field: str, given: object, kept: Callable[[str, Any], T]) -> tuple[T, ...]:
    """The values of a list, or the one that stands alone."""
    values = list(given) if isinstance(given, Sequence) and not isinstance(given, str) else [given]
    if not values:
        raise InputError(f"{field}: an empty list was given; allowed: at least one value")
    return _once(field, (kept(field, value) for value in values))


def _seeds(given: object) -> tuple[int, ...]:
    if isinstance(given, str):
        given = read_seeds(given)
    return _listed("seeds", given, lambda field, value: whole(field, value, 0, MOST_SEED))


def _written(field: str, value: Any) -> str:
    """A negative as it is written when names are replaced by what they stand for."""
    return write_negative(parse_negative(text(field, value).strip()))


def _short(value: str, values: Sequence[str]) -> str:
    """The text as a label says it: cut where that leaves it apart from the others."""
    return value if sum(one[:LABEL] == value[:LABEL] for one in values) > 1 or len(value) <= LABEL else f"{value[:LABEL]}…"


def _once(field: str, values: Iterable[T]) -> tuple[T, ...]:
    kept: dict[T, None] = {}
    for value in values:
        if value in kept:
            raise InputError(f"{field}: {value!r} stands there twice; allowed: every value once")
        kept[value] = None
    return tuple(kept)
