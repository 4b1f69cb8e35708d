"""Where a guided sampler goes, and what is to be learned there: the model's own trajectories, kept in files."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

import torch
from safetensors.torch import load_file, save
from torch import Tensor

from negativa.denoisers.unet import UNetDiffusion
from negativa.language.files import write
from negativa.plain.passes import POSITIVE
from negativa.plain.recipe import Recipe
from negativa.plain.samplers import USUAL, evaluations
from negativa.sampling.budget import FixedRows
from negativa.sampling.engine import Engine
from negativa.sampling.walk import Ask, Walk, walk
from negativa.training.bake.goal import Goal
from negativa.training.progress import Progress

TOGETHER: Final = 32  # walks of a file
ROWS: Final = 16  # of a call: always as many, so that the same walks always give the same numbers
LEAST: Final = 1e-3  # of the mean: a timestep at which guidance changes less counts no more than this


@dataclass(frozen=True)
class Places:
    """Rows that a sampler went through.

    `latents` (rows, channels, height, width) as the network saw them, at `timesteps`, under the prompts numbered `prompts`;
    `alone` is the prediction under the prompt alone and `targets` what is to be learned at weight 1, shaped as the latents.
    """

    latents: Tensor
    timesteps: Tensor
    prompts: Tensor
    alone: Tensor
    targets: Tensor

    @property
    def moved(self) -> Tensor:
        """The mean square of what a target changes in the prediction under the prompt alone, (rows,)."""
        return (self.targets - self.alone).square().mean((1, 2, 3))

    @property
    def weights(self) -> Tensor:
        """One over the mean of `moved` at a row's timestep: what guidance does counts alike at every noise level.

        So the loss is the share of it that is not learned yet, whatever the model predicts.
        """
        times, which = self.timesteps.unique(return_inverse=True)
        means = torch.zeros(len(times)).index_add(0, which, self.moved) / which.bincount()
        return (1 / means.clamp(min=LEAST * float(means.mean())))[which]


def visited(
    denoiser: UNetDiffusion, goal: Goal, prompts: Sequence[str], recipes: Sequence[Recipe], room: int, folder: Path
) -> Generator[Progress, None, Places]:
    """Walk the recipes, and tell of it; what is in the folder already is read instead.

    `prompts` are the distinct texts of the recipes. Recipes are complete, those of one goal and model.
    """
    found: list[dict[str, Tensor]] = []
    each = evaluations(recipes[0].sampler or USUAL, recipes[0].steps)
    for begin in range(0, len(recipes), TOGETHER):
        kept = folder / f"walks-{begin // TOGETHER:03}.safetensors"
        some = recipes[begin : begin + TOGETHER]
        if not kept.exists():
            yield from _walked(denoiser, goal, prompts, some, room, kept, begin * each, len(recipes) * each)
        found.append(load_file(kept))
    return Places(**{name: torch.cat([one[name] for one in found]) for name in found[0]})


def _walked(
    denoiser: UNetDiffusion,
    goal: Goal,
    prompts: Sequence[str],
    recipes: Sequence[Recipe],
    room: int,
    kept: Path,
    done: int,
    total: int,
) -> Generator[Progress, None, None]:
    rows: list[list[dict[str, Tensor]]] = [[] for _ in recipes]

    def keep(index: int, ask: Ask, answers: dict[str, Tensor]) -> None:
        recipe = recipes[index]
        rows[index].append(
            {
                "latents": ask.latents,
                "timesteps": torch.tensor(ask.timestep),
                "prompts": torch.tensor(prompts.index(recipe.prompt)),
                "alone": answers[POSITIVE],
                "targets": goal.target(answers, recipe.scale or 1.0),
            }
        )

    def walks():
        for i, recipe in enumerate(recipes):
            shape = denoiser.shape(recipe.width or 0, recipe.height or 0)
            yield i, _watched(walk(recipe, shape, denoiser.scheduler, room), goal, room, partial(keep, i))

    for stepped in Engine(denoiser.predict, partial(FixedRows, ROWS)).run(walks()):
        done += len(stepped)
        yield Progress("walks", done, total)
    every = [one for walked in rows for one in walked]
    write("folder", kept, save({name: torch.stack([one[name] for one in every]) for name in every[0]}))


def _watched(steps: Walk, goal: Goal, room: int, keep) -> Walk:
    """A walk that also asks for what the target needs, and whose answers are kept."""
    ask = next(steps)
    while True:
        answers = yield replace(ask, passes={**ask.passes, **goal.beside(room)})
        keep(ask, answers)
        try:
            ask = steps.send(answers)
        except StopIteration as end:
            return end.value
