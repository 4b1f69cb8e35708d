"""One image's way from noise to latents: a loop that asks for predictions and is sent them."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from negativa.errors import InputError
from negativa.language.weights import below_zero
from negativa.plain.conditions import Nothing, Words
from negativa.plain.passes import LATENTS, NOTHING, POSITIVE, WEAKER, WORSE, Active, Moment, Pass, Patch, negative
from negativa.plain.recipe import Recipe
from negativa.plain.samplers import SAMPLERS, evaluations
from negativa.rules import build
from negativa.rules.adaptive import IDLE
from negativa.rules.rule import Space, patches_of
from negativa.rules.spaces import convert
from negativa.sampling import noise
from negativa.sampling.steps import Steps, is_flow

if TYPE_CHECKING:
    from torch import Tensor

#: What a model that is no flow predicts, in a scheduler's words and in ours.
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
    rule, named, flow = build(recipe), passes_of(recipe), is_flow(config)
    native = "velocity" if flow else NATIVE[config.get("prediction_type", "epsilon")]
    generator = noise.stream(recipe.seed)
    start = noise.start(generator, shape)
    steps = Steps(recipe.sampler, config, recipe.steps, generator)
    latents = steps.first(start)
    memory: dict[str, Any] = {}
    for moment, timestep in zip(moments(recipe), steps.timesteps, strict=True):
        seen = steps.seen(latents, timestep)
        alpha, sigma, share = steps.level(timestep)
        moment = replace(moment, alpha=alpha, sigma=sigma, timestep=share, flow=flow, after=steps.after(timestep))
        passes = patched(named, patches_of(rule, moment))
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
    nothing = Nothing(recipe.nothing)
    positive = _pass("prompt", recipe.prompt, nothing)
    named = {POSITIVE: positive, NOTHING: Pass(nothing), WORSE: positive}
    named[WEAKER] = replace(positive, model=recipe.weaker)
    return named | {negative(i): _pass("negative", one.condition, nothing) for i, one in enumerate(recipe.negative)}


def _pass(field: str, text: str, nothing: Nothing) -> Pass:
    """The pass of a text, the parts of it that count below zero in a patch."""
    rest, below = below_zero(field, text)
    flipped = tuple((Words(part), -weight) for part, weight in below)
    patches = (Patch("flip", (("strength", 1.0), ("offset", 0.0)), flipped),) if flipped else ()
    return Pass(Words(rest) if rest.strip() else nothing, patches)


def texts_of(recipe: Recipe) -> list[tuple[str, str]]:
    """Every text that the model's encoder reads, each with the name of its field."""
    fields = [("prompt", recipe.prompt), *(("negative", one.condition) for one in recipe.negative)]
    split = [(field, below_zero(field, text)) for field, text in fields]
    return [(field, part) for field, (rest, below) in split for part in (rest, *(word for word, _ in below))]


def patched(passes: Mapping[str, Pass], patches: Mapping[str, Patch]) -> dict[str, Pass]:
    """The passes with a rule's patches, which name passes where conditions are meant.

    Raises `InputError` for a part of a weight below zero where the rule reads a negative whole.
    """
    changed = dict(passes)
    for name, patch in patches.items():
        read = [(passes[str(one)], weight) for one, weight in patch.against]
        if any(one.patches for one, _ in read):
            raise InputError(f"negative: a part has a weight below zero; {patch.name!r} reads negatives whole")
        against = tuple((one.condition, weight) for one, weight in read)
        changed[name] = replace(passes[name], patches=(*passes[name].patches, replace(patch, against=against)))
    return changed


def moments(recipe: Recipe) -> Iterator[Moment]:
    """The moments of a walk, one for each evaluation of the network; timesteps are left to the sampler."""
    each = SAMPLERS[recipe.sampler].evaluations
    for i in range(evaluations(recipe.sampler, recipe.steps)):
        step = i // each
        acting = [(j, one) for j, one in enumerate(recipe.negative) if one.acts_at(step, recipe.steps)]
        active = tuple(Active(negative(j), one.weight) for j, one in acting)
        yield Moment(step, recipe.steps, active, evaluation=i % each)


def asked_of(recipe: Recipe) -> dict[str, Pass]:
    """Every pass that the walk of a recipe will ask for, by name, with the patches of any moment.

    A negative that a patch reads inside another pass is among the names.
    """
    rule, named = build(recipe), passes_of(recipe)
    asked: dict[str, Pass] = {}
    for moment in moments(recipe):
        patches = patches_of(rule, moment)
        changed = patched(named, patches)
        asked |= {name: changed[name] for name in rule.passes(moment)}
        asked |= {str(name): named[str(name)] for patch in patches.values() for name, _ in patch.against if name not in asked}
    return asked
