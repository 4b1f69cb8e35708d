"""One image's way from noise to latents: a loop that asks for predictions and is sent them."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from negativa.plain.passes import LATENTS, POSITIVE, Moment, Pass
from negativa.plain.recipe import Recipe
from negativa.plain.samplers import USUAL
from negativa.rules import build
from negativa.rules.adaptive import IDLE
from negativa.rules.spaces import convert
from negativa.sampling import noise
from negativa.sampling.passes import Blend, blended
from negativa.sampling.stages import stages
from negativa.sampling.steps import Steps, predicts

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
    behind: dict[str, Blend] = {}  # what stood behind the name of a pass when it was last wanted
    for stage, timestep in zip(stages(recipe, config, room), steps.timesteps, strict=True):
        moment, names = stage.moment, stage.names
        seen = steps.seen(latents, timestep)
        for name, blend in zip(names, stage.blends, strict=True):
            if behind.get(name, blend) != blend:  # other words or pictures
                _forget(memory, name)
            behind[name] = blend
        idle = memory.get(IDLE) == names
        read, single = ((POSITIVE,), stage.asked_for((POSITIVE,))) if idle else (names, stage.asked)
        answers = yield Ask(seen[0], float(timestep), single, moment)
        remembered = memory if moment.evaluation == 0 else dict(memory)
        predictions = {name: blended(name, stage.passes, answers, stage.start) for name in read}
        given = {name: convert(one, seen[0], moment, native, rule.space) for name, one in predictions.items()}
        guided = rule.combine(given | {LATENTS: seen[0]}, moment, remembered)
        latents = steps.step(convert(guided, seen[0], moment, rule.space, native)[None], timestep, latents)
    return latents[0]


def _forget(memory: dict[str, Any], name: str) -> None:
    """Drop what was remembered of a pass: that it was idle, and what a rule keeps of it, see `Memory`."""
    if name in memory.get(IDLE, ()):
        del memory[IDLE]
    for key in [key for key in memory if key.endswith(f" of {name}")]:
        del memory[key]
