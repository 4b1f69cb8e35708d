"""What a walk asks for at each evaluation of the network: known before it begins, and the same whatever its seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import Any

from negativa.plain.conditions import Condition, Negative, Shown, Words
from negativa.plain.images import Blank, Image
from negativa.plain.passes import Active, Moment, Pass, negative
from negativa.plain.recipe import Recipe
from negativa.plain.samplers import SAMPLERS, USUAL
from negativa.rules import build
from negativa.rules.rule import Rule, bare, patches_of, start_of
from negativa.sampling.passes import Blend, asked, is_scheduled_at_all, needed, passes_of, patched, unseeded
from negativa.sampling.pictures import pictured
from negativa.sampling.steps import Level, levels


@dataclass(frozen=True)
class Stage:
    """One evaluation of the network in the walk of a recipe.

    `names` are the passes that its rule reads, `passes` what stands behind every name, with pictures and patches, `inside` what
    patches read inside others, and `start` the moment that the clauses of the prompt are measured from.
    """

    moment: Moment
    start: Moment
    names: tuple[str, ...]
    passes: Mapping[str, Blend]
    inside: Mapping[str, Blend]

    @cached_property
    def blends(self) -> tuple[Blend, ...]:
        """What stands behind the names that the rule reads."""
        return tuple(self.passes[name] for name in self.names)

    @cached_property
    def needed(self) -> Mapping[str, Blend]:
        """The same by name, with what those blends are measured from."""
        return MappingProxyType(needed(self.names, self.passes, self.start))

    @cached_property
    def asked(self) -> Mapping[str, Pass]:
        """The single passes that the network is asked for."""
        return self.asked_for(self.names)

    def asked_for(self, names: tuple[str, ...]) -> Mapping[str, Pass]:
        """The single passes that these names alone would ask for."""
        return MappingProxyType(asked(names, self.passes, self.start))


def stages(recipe: Recipe, config: Mapping[str, Any], room: int = 1) -> tuple[Stage, ...]:
    """The stages of a walk; `config` is the model's scheduler configuration, `room` how many chunks every text takes."""
    return _stages(unseeded(recipe), _levels_of(recipe, config), room)


@lru_cache(maxsize=128)
def _stages(recipe: Recipe, noise_there: tuple[Level, ...], room: int) -> tuple[Stage, ...]:
    rule = build(recipe)
    return tuple(_stage(recipe, rule, moment, room) for moment in _moments_of(recipe, noise_there))


def _stage(recipe: Recipe, rule: Rule, moment: Moment, room: int) -> Stage:
    named, patches, start = passes_of(recipe, moment.step), patches_of(rule, moment), start_of(rule, moment)
    read_inside = {str(name): None for patch in patches.values() for name, _ in patch.against}
    alone, seen = bare(rule, moment)  # what it reads at this step if no wrapper spares it
    heard = {*needed(alone.passes(seen), named, start), *read_inside}
    shown = {
        name: tuple((replace(one, room=room), weight) for one, weight in blend)
        for name, blend in pictured(named, recipe, moment.step, heard).items()
    }
    inside = {name: shown[name] for name in read_inside}
    return Stage(moment, start, rule.passes(moment), MappingProxyType(patched(shown, patches)), MappingProxyType(inside))


def moments(recipe: Recipe, config: Mapping[str, Any]) -> tuple[Moment, ...]:
    """The moments of a walk, one for each evaluation of the network; `config` is the model's scheduler configuration."""
    return _moments_of(recipe, _levels_of(recipe, config))


def _levels_of(recipe: Recipe, config: Mapping[str, Any]) -> tuple[Level, ...]:
    return levels(recipe.sampler or USUAL, config, recipe.steps)


def _moments_of(recipe: Recipe, noise_there: tuple[Level, ...]) -> tuple[Moment, ...]:
    return _moments(recipe.negative, recipe.steps, recipe.sampler or USUAL, noise_there)


@lru_cache(maxsize=64)
def _moments(negatives: tuple[Negative, ...], steps: int, sampler: str, noise_there: tuple[Level, ...]) -> tuple[Moment, ...]:
    found, each = list[Moment](), SAMPLERS[sampler].evaluations
    for i, level in enumerate(noise_there):
        acting = [(j, one) for j, one in enumerate(negatives) if one.acts_at(i // each, steps)]
        active = tuple(Active(negative(j), 1.0 if isinstance(one.condition, Image) else one.weight) for j, one in acting)
        found.append(Moment(i // each, steps, active, i % each, *level))
    return tuple(found)


def asked_of(recipe: Recipe, config: Mapping[str, Any]) -> Mapping[str, tuple[Pass, ...]]:
    """Every pass that the walk of a recipe will ask for, by the name that its rule gives it, in each of its forms.

    `config` is the model's scheduler configuration. A negative that a patch reads inside another pass is among the names.
    """
    return _asked_of(unseeded(recipe), _levels_of(recipe, config))


@lru_cache(maxsize=1024)  # asked before, at and after a walk
def _asked_of(recipe: Recipe, noise_there: tuple[Level, ...]) -> Mapping[str, tuple[Pass, ...]]:
    found: dict[str, dict[Pass, None]] = {}
    for stage in _stages(recipe, noise_there, 1):
        for name, blend in {**stage.inside, **stage.needed}.items():
            found.setdefault(name, {}).update(dict.fromkeys(one for one, _ in blend))
    return MappingProxyType({name: tuple(passes) for name, passes in found.items()})


def images_of(one: Pass) -> list[Image | Blank]:
    """Every image that a pass reads, its own and those that patches read inside it, and what stands for none."""
    return [image for condition in _read_by(one) if isinstance(condition, Shown) for image, _ in condition.pictures]


def words_of(one: Pass) -> list[Words]:
    """Every text that a pass reads, its own and those that patches read inside it."""
    texts = (condition.text if isinstance(condition, Shown) else condition for condition in _read_by(one))
    return [text for text in texts if isinstance(text, Words)]


def texts_of(recipe: Recipe) -> list[tuple[str, Words]]:
    """Every text that the model's encoder may read, each with the name of its field."""
    steps = range(recipe.steps) if is_scheduled_at_all(recipe) else (0,)
    found: dict[tuple[str, Words], None] = {}
    for step in steps:
        for name, blend in passes_of(recipe, step).items():
            field = "negative" if name.startswith("negative") else "prompt"
            found |= {(field, words): None for one, _ in blend for words in words_of(one)}
    return list(found)


def _read_by(one: Pass) -> tuple[Condition | str, ...]:
    return one.condition, *(other for patch in one.patches for other, _ in patch.against)
