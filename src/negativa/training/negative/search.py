"""What learns, and how it is looked after: steps towards the reward, and checks of what they cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from negativa.denoisers.unet import UNetDiffusion
from negativa.language import pictures as files
from negativa.language.files import make_folder
from negativa.plain.conditions import Words
from negativa.plain.passes import POSITIVE
from negativa.plain.recipe import Recipe
from negativa.rules.spaces import to_x0
from negativa.sampling.budget import FixedRows
from negativa.sampling.engine import Engine
from negativa.sampling.steps import predicts
from negativa.sampling.walk import Ask, Walk, walk
from negativa.studio import Studio
from negativa.terrarium.reader import to_tensor
from negativa.training.conditions import condition_of
from negativa.training.negative.rewards import Reward
from negativa.training.negative.settings import Settings
from negativa.training.token import Learner

ROWS: Final = 16  # of a call: always as many, so that the same walks always give the same numbers
FIGURES: Final = ("reward", "variety", "obedience")
LEAST: Final = {"variety": 0.95, "obedience": 0.98}  # of what they are without the negative
ELSEWHERE: Final = 5 * 10**5  # where the seeds of the checks begin, apart from those of the comparison at the end
SQUARES: Final = 16  # a side, of what variety looks at


@dataclass(frozen=True)
class Best:
    """The vectors of the best check, by encoder, its step, and what was found there and without the negative."""

    step: int
    vectors: Mapping[str, Tensor]
    figures: Mapping[str, str]


class Search(nn.Module):
    """A learner on its way to more reward; its buffers are what the checks have found, so that a later run knows them too.

    `checks` (checks, 4) are a step, and what was found there: mean reward, variety and obedience.
    """

    checks: Tensor

    def __init__(
        self,
        learner: Learner,
        denoiser: UNetDiffusion,
        reward: Reward,
        settings: Settings,
        prompts: Sequence[str],
        held_out: Sequence[str],
    ) -> None:
        super().__init__()
        self.learner, self.kept = learner, nn.ParameterList(one.detach().clone() for one in learner.vectors)
        self.kept.requires_grad_(False)
        self.register_buffer("checks", torch.full((math.ceil(settings.steps / settings.check) + 1, 4), torch.nan))
        self._settings, self._prompts, self._held_out = settings, prompts, held_out
        self._beside = denoiser, reward  # in a tuple: a reward that is a network is not to learn
        self._folder = settings.place / "validation"
        read = [condition_of("prompts", one) for one in (*prompts, *held_out)]
        self._room = max([1, *(denoiser.chunks(one) for one in read if isinstance(one, Words))])

    def loss(self, rng: np.random.Generator, share: float) -> Tensor:
        """What the pictures of a step lack, after a check if it is time for one."""
        settings, (denoiser, reward) = self._settings, self._beside
        step = round(share * settings.steps)
        if step % settings.check == 0:
            self.check(step)
        prompts = [self._prompts[i] for i in rng.integers(len(self._prompts), size=settings.batch)]
        seeds = rng.integers(2**31, size=settings.batch)
        stops = settings.walk - 1 - rng.integers(settings.last, size=settings.batch)
        recipes = [self._recipe(prompt, int(seed)) for prompt, seed in zip(prompts, seeds, strict=True)]
        asks, wanted = self._visited([one.replace(sampler="ddim", steps=settings.walk) for one in recipes], stops)
        noisy = torch.stack([ask.latents for ask in asks]).to(denoiser.device)
        times = torch.tensor([ask.timestep for ask in asks], device=denoiser.device)
        unwanted = self.learner.predict(noisy, times, [self.learner.written] * len(asks), self._room).float()
        scale = Studio(denoiser).complete(recipes[0]).scale or 1.0
        guided = unwanted + scale * (wanted.to(denoiser.device) - unwanted)
        native = predicts(denoiser.scheduler)
        clean = [to_x0(one, x, ask.moment, native) for one, x, ask in zip(guided, noisy, asks, strict=True)]
        return -reward(denoiser.to_pixels(torch.stack(clean)).clamp(-1, 1), prompts).mean()

    def check(self, step: int) -> None:
        """Draw what is not learned from, two seeds a prompt, write down what is found, and keep the vectors if it is best.

        The first check is without a negative: what later ones are held to.
        """
        settings, reward = self._settings, self._beside[1]
        prompts = [self._held_out[i // 2 % len(self._held_out)] for i in range(settings.pictures // 2 * 2)]
        studio, images = Studio(self._beside[0].afresh()), dict[int, Image.Image]()
        studio.engine.budget = partial(FixedRows, ROWS)
        recipes = [self._recipe(prompt, ELSEWHERE + i) for i, prompt in enumerate(prompts)]
        for made in studio.generate_many(recipes if step else [one.replace(negative=None) for one in recipes]):
            images[made.index] = made.image
            if made.index == 0:
                make_folder("folder", self._folder)
                files.save(self.pictured(step), made.image, made.receipt, overwrite=True)
        drawn = [images[i] for i in range(len(prompts))]
        pixels = to_tensor(np.stack([np.asarray(one) for one in drawn])).to(self._beside[0].device)
        with torch.no_grad():
            value = float(reward(pixels, prompts).mean())
        row = math.ceil(step / settings.check)
        self.checks[row] = torch.tensor([step, value, variety(drawn), reward.obedience(drawn, prompts)])
        if self._best() == row:
            for kept, now in zip(self.kept, self.learner.vectors, strict=True):
                kept.data.copy_(now)

    def pictured(self, step: int) -> Path:
        """The file of the first picture of a check."""
        return self._folder / f"{step:06}.png"

    def is_stale(self) -> bool:
        """Whether as many checks have come after the best as patience allows."""
        return int((~self.checks[:, 0].isnan()).sum()) - 1 - self._best() >= self._settings.patience

    def best(self) -> Best:
        """What is to be written."""
        row = self._best()
        first, found = self.checks[0].tolist(), self.checks[row].tolist()
        vectors = dict(zip(self.learner.start.vectors, (one.detach().cpu().clone() for one in self.kept), strict=True))
        figures = {f"{name}, before": f"{a:.4g}, {b:.4g}" for name, a, b in zip(FIGURES, found[1:], first[1:], strict=True)}
        return Best(int(found[0]), vectors, figures)

    def _best(self) -> int:
        """The check of most reward among those whose variety and obedience are nearly what they were."""
        rewards = self.checks[:, 1].nan_to_num(-math.inf).clone()
        for name, share in LEAST.items():
            column = self.checks[:, 1 + FIGURES.index(name)]
            rewards[1:][~(column[1:] >= share * column[0])] = -math.inf
        return int(rewards.argmax())

    def _recipe(self, prompt: str, seed: int) -> Recipe:
        return Recipe(prompt, self.learner.written, seed=seed, scale=self._settings.scale)

    def _visited(self, recipes: Sequence[Recipe], stops: Sequence[int]) -> tuple[list[Ask], Tensor]:
        """Where the walks of recipes are at the steps `stops`, and what is predicted there under the prompts."""
        denoiser, found = self._beside[0].afresh(), dict[int, tuple[Ask, Tensor]]()
        studio = Studio(denoiser)

        def walks():
            for i, (recipe, stop) in enumerate(zip(map(studio.complete, recipes), stops, strict=True)):
                shape = denoiser.shape(recipe.width or 0, recipe.height or 0)
                yield i, until(walk(recipe, shape, denoiser.scheduler, self._room), stop, partial(keep, i))

        def keep(index: int, ask: Ask, answers: Mapping[str, Tensor]) -> None:
            found[index] = ask, answers[POSITIVE].clone()  # the engine's own cannot be differentiated

        for _ in Engine(denoiser.predict, partial(FixedRows, ROWS)).run(walks()):
            pass
        return [found[i][0] for i in range(len(recipes))], torch.stack([found[i][1] for i in range(len(recipes))])


def until(steps: Walk, stop: int, keep) -> Walk:
    """A walk that ends at a step, whose ask and answers are kept."""
    ask = next(steps)
    for _ in range(stop):
        ask = steps.send((yield ask))
    keep(ask, (yield ask))
    steps.close()
    return ask.latents


def variety(images: Sequence[Image.Image]) -> float:
    """How far two pictures of one prompt are apart, in the mean over pairs (0, 1), (2, 3), ...: root mean square, 0 to 255."""
    small = [np.asarray(one.resize((SQUARES, SQUARES), Image.Resampling.BOX), float) for one in images]
    apart = [float(np.sqrt(((a - b) ** 2).mean())) for a, b in zip(small[::2], small[1::2], strict=True)]
    return float(np.mean(apart))
