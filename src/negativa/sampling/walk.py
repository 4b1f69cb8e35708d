"""One image's way from noise to latents: a loop that asks for predictions and is sent them."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from negativa.plain.conditions import Nothing, Words
from negativa.plain.passes import LATENTS, NOTHING, POSITIVE, Active, Moment, Pass, negative
from negativa.plain.recipe import Recipe
from negativa.plain.samplers import SAMPLERS, evaluations
from negativa.rules import build
from negativa.rules.adaptive import IDLE
from negativa.rules.rule import Space
from negativa.rules.spaces import convert
from negativa.sampling import noise
from negativa.sampling.steps import Steps

if TYPE_CHECKING:
    from torch import Tensor

#: What a model predicts, in a scheduler's words and in ours.
NATIVE: Final[dict[str, Space]] = {"epsilon": "noise", "v_prediction": "velocity", "sample": "x0"}


@dataclass(frozen=True)
class Ask:
    """What a walk needs to go on: predictions for `latents` (channels, height, width) at `timestep`, by name of pass."""

    latents: Tensor
    timestep: float
    passes: Mapping[str, Pass]
    moment: Moment


Walk = Generator[Ask, "Mapping[str, Tensor]", "Tensor"]


def walk(recipe: Recipe, shape: tuple[int, int, int], config: Mapping[str, Any]) -> Walk:
    """Walk a recipe from noise to latents (channels, height, width), float32, all on the CPU.

    `shape` is that of the latents, `config` the model's scheduler configuration. Yields an `Ask` for every evaluation
    of the network and wants the predictions sent, float32, by name.
    A sampler that asks twice in a step gets the rule twice, at the same step of the window; what the rule remembers
    moves on at the first of the two only, so that memory counts steps, whatever the sampler.
    """
    rule, passes, native = build(recipe), passes_of(recipe), NATIVE[config.get("prediction_type", "epsilon")]
    generator = noise.stream(recipe.seed)
    start = noise.start(generator, shape)
    steps = Steps(recipe.sampler, config, recipe.steps, generator)
    latents = steps.first(start)
    memory: dict[str, Any] = {}
    for moment, timestep in zip(moments(recipe), steps.timesteps, strict=True):
        seen = steps.seen(latents, timestep)
        alpha, sigma, share = steps.level(timestep)
        moment = replace(moment, alpha=alpha, sigma=sigma, timestep=share)
        wanted = rule.passes(moment)
        needed = {name: passes[name] for name in ((POSITIVE,) if memory.get(IDLE) == wanted else wanted)}
        predictions = yield Ask(seen[0], float(timestep), needed, moment)
        remembered = memory if moment.evaluation == 0 else dict(memory)
        given = {name: convert(one, seen[0], moment, native, rule.space) for name, one in predictions.items()}
        guided = rule.combine(given | {LATENTS: seen[0]}, moment, remembered)
        latents = steps.step(convert(guided, seen[0], moment, rule.space, native)[None], timestep, latents)
    return latents[0]


def passes_of(recipe: Recipe) -> dict[str, Pass]:
    """Every pass that a rule may ask for, by name; a text without a word is the recipe's kind of nothing."""
    nothing = Pass(Nothing(recipe.nothing))
    named = {POSITIVE: Pass(Words(recipe.prompt)) if recipe.prompt.strip() else nothing, NOTHING: nothing}
    return named | {negative(i): Pass(Words(one.condition)) for i, one in enumerate(recipe.negative)}


def moments(recipe: Recipe) -> Iterator[Moment]:
    """The moments of a walk, one for each evaluation of the network; timesteps are left to the sampler."""
    each = SAMPLERS[recipe.sampler].evaluations
    for i in range(evaluations(recipe.sampler, recipe.steps)):
        step = i // each
        acting = [(j, one) for j, one in enumerate(recipe.negative) if one.acts_at(step, recipe.steps)]
        active = tuple(Active(negative(j), one.weight) for j, one in acting)
        yield Moment(step, recipe.steps, active, evaluation=i % each)


def asked_of(recipe: Recipe) -> set[str]:
    """The names of all passes that the walk of a recipe will ask for."""
    rule = build(recipe)
    return {name for moment in moments(recipe) for name in rule.passes(moment)}
