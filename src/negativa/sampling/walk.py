"""One image's way from noise to latents: a loop that asks for predictions and is sent them."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from negativa.plain.conditions import Negative, Shown, Words
from negativa.plain.images import Blank, Image
from negativa.plain.passes import LATENTS, POSITIVE, Active, Moment, Pass, Patch, negative
from negativa.plain.recipe import Recipe
from negativa.plain.samplers import SAMPLERS, USUAL
from negativa.rules import build
from negativa.rules.adaptive import IDLE
from negativa.rules.rule import Rule, bare, patches_of, start_of
from negativa.rules.spaces import convert
from negativa.sampling import noise
from negativa.sampling.passes import Blend, asked, blended, is_scheduled_at_all, needed, passes_of, patched
from negativa.sampling.pictures import pictured
from negativa.sampling.steps import Level, Steps, levels, predicts

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Ask:
    """What a walk needs to go on: predictions for `latents` (channels, height, width) at `timestep`, by name of pass."""

    latents: Tensor
    timestep: float
    passes: Mapping[str, Pass]
    moment: Moment


Walk = Generator[Ask, "Mapping[str, Tensor]", "Tensor"]


def walk(recipe: Recipe, shape: tuple[int, int, int], config: Mapping[str, Any], room: int = 1) -> Walk:
    """Walk a recipe from noise to latents (channels, height, width), float32, all on the CPU.

    `shape` is that of the latents, `config` the model's scheduler configuration, `room` how many chunks every text takes.
    Yields an `Ask` for every evaluation of the network and wants the predictions sent, float32, by name.
    A sampler that asks twice in a step gets the rule twice, at the same step of the window; what the rule remembers
    moves on at the first of the two only, so that memory counts steps, whatever the sampler.
    """
    rule = build(recipe)
    native = predicts(config)
    generator = noise.stream(recipe.seed)
    first = noise.start(generator, shape)
    steps = Steps(recipe.sampler or USUAL, config, recipe.steps, generator)
    latents = steps.first(first)
    memory: dict[str, Any] = {}
    behind: dict[tuple[str, ...], tuple[Blend, ...]] = {}  # what stood behind the names of passes when they were last wanted
    for moment, timestep in zip(moments(recipe, config), steps.timesteps, strict=True):
        seen = steps.seen(latents, timestep)
        named, patches = passes_at(recipe, rule, moment)
        passes = patched(named, patches)
        wanted, start = rule.passes(moment), start_of(rule, moment)
        blends = tuple(passes[name] for name in wanted)
        if memory.get(IDLE) == wanted and behind[wanted] != blends:
            del memory[IDLE]  # the same names, but other words or pictures behind them
        behind[wanted] = blends
        read = (POSITIVE,) if memory.get(IDLE) == wanted else wanted
        single = {name: replace(one, room=room) for name, one in asked(read, passes, start).items()}
        answers = yield Ask(seen[0], float(timestep), single, moment)
        remembered = memory if moment.evaluation == 0 else dict(memory)
        predictions = {name: blended(name, passes, answers, start) for name in read}
        given = {name: convert(one, seen[0], moment, native, rule.space) for name, one in predictions.items()}
        guided = rule.combine(given | {LATENTS: seen[0]}, moment, remembered)
        latents = steps.step(convert(guided, seen[0], moment, rule.space, native)[None], timestep, latents)
    return latents[0]


def moments(recipe: Recipe, config: Mapping[str, Any]) -> tuple[Moment, ...]:
    """The moments of a walk, one for each evaluation of the network; `config` is the model's scheduler configuration."""
    return _moments(recipe.negative, recipe.steps, recipe.sampler or USUAL, _levels_of(recipe, config))


@lru_cache(maxsize=64)  # the same for every seed
def _moments(negatives: tuple[Negative, ...], steps: int, sampler: str, noise_there: tuple[Level, ...]) -> tuple[Moment, ...]:
    found, each = list[Moment](), SAMPLERS[sampler].evaluations
    for i, level in enumerate(noise_there):
        acting = [(j, one) for j, one in enumerate(negatives) if one.acts_at(i // each, steps)]
        active = tuple(Active(negative(j), 1.0 if isinstance(one.condition, Image) else one.weight) for j, one in acting)
        found.append(Moment(i // each, steps, active, i % each, *level))
    return tuple(found)


def _levels_of(recipe: Recipe, config: Mapping[str, Any]) -> tuple[Level, ...]:
    return levels(recipe.sampler or USUAL, config, recipe.steps)


def passes_at(recipe: Recipe, rule: Rule, moment: Moment) -> tuple[dict[str, Blend], Mapping[str, Patch]]:
    """The passes that a rule may ask for at a moment, with their pictures, and the patches that it puts into them."""
    named, patches = passes_of(recipe, moment.step), patches_of(rule, moment)
    inside = (str(name) for patch in patches.values() for name, _ in patch.against)
    alone, seen = bare(rule, moment)  # what it reads at this step if no wrapper spares it
    heard = {*needed(alone.passes(seen), named, start_of(rule, moment)), *inside}
    return pictured(named, recipe, moment.step, heard), patches


def asked_of(recipe: Recipe, config: Mapping[str, Any]) -> Mapping[str, tuple[Pass, ...]]:
    """Every pass that the walk of a recipe will ask for, by the name that its rule gives it, in each of its forms.

    `config` is the model's scheduler configuration. A negative that a patch reads inside another pass is among the names.
    """
    return _asked_of(recipe, _levels_of(recipe, config))


@lru_cache(maxsize=1024)  # asked before, at and after a walk
def _asked_of(recipe: Recipe, noise_there: tuple[Level, ...]) -> Mapping[str, tuple[Pass, ...]]:
    rule = build(recipe)
    found: dict[str, dict[Pass, None]] = {}
    for moment in _moments(recipe.negative, recipe.steps, recipe.sampler or USUAL, noise_there):
        named, patches = passes_at(recipe, rule, moment)
        changed = patched(named, patches)
        inside = {str(name): named[str(name)] for patch in patches.values() for name, _ in patch.against}
        for name, blend in (inside | needed(rule.passes(moment), changed, start_of(rule, moment))).items():
            found.setdefault(name, {}).update(dict.fromkeys(one for one, _ in blend))
    return MappingProxyType({name: tuple(passes) for name, passes in found.items()})


def images_of(one: Pass) -> list[Image | Blank]:
    """Every image that a pass reads, its own and those that patches read inside it, and what stands for none."""
    read = (one.condition, *(other for patch in one.patches for other, _ in patch.against))
    return [image for condition in read if isinstance(condition, Shown) for image, _ in condition.pictures]


def texts_of(recipe: Recipe) -> list[tuple[str, Words]]:
    """Every text that the model's encoder may read, each with the name of its field."""
    steps = range(recipe.steps) if is_scheduled_at_all(recipe) else (0,)
    found: dict[tuple[str, Words], None] = {}
    for step in steps:
        for name, blend in passes_of(recipe, step).items():
            conditions = [c for one, _ in blend for c in (one.condition, *(a for p in one.patches for a, _ in p.against))]
            field = "negative" if name.startswith("negative") else "prompt"
            found |= {(field, condition): None for condition in conditions if isinstance(condition, Words)}
    return list(found)
