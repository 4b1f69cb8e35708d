"""Baking from beginning to end: walk, learn, write, compare."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from diffusers import UNet2DConditionModel

from negativa.errors import InputError
from negativa.language.files import write
from negativa.plain.recipe import Recipe
from negativa.studio import Studio
from negativa.terrarium import paint
from negativa.terrarium.captions import caption
from negativa.training.bake.comparing import Figure, arms_of, attributes_of, card, compare
from negativa.training.bake.settings import Settings, about, check_out
from negativa.training.bake.student import Student, loss_of, write_lora, write_unet
from negativa.training.bake.walks import visited
from negativa.training.conditions import condition_of
from negativa.training.log import last_step
from negativa.training.progress import Progress
from negativa.training.runs import LOSSES, begin, learn, load_learner

ELSEWHERE: Final = 10**6  # after the seeds of the walks come those of the comparison
TRIES: Final = 3000  # paintings until one fits


@dataclass(frozen=True)
class Baked:
    """The end: the file or folder, its card, and the figures on it."""

    out: Path
    card: Path
    figures: tuple[Figure, ...]


def run(settings: Settings) -> Iterator[Progress | Baked]:
    """Bake; taken up where an earlier run with the same settings stopped. The last that is told is a `Baked`.

    Raises `InputError` for a text or model that cannot be baked and for a folder that was begun otherwise, `ModelError` if the
    model cannot be read, `OutputError` if something cannot be written.
    """
    goal, folder = settings.goal, settings.place
    check_out(settings)
    studio, denoiser = load_learner(settings.model, settings.device, settings.dtype, flows=True)
    prompts = _prompts(settings)
    recipes = [
        studio.complete(goal.recipe(prompts[i % len(prompts)], settings.seed + i, settings.like)) for i in range(settings.walks)
    ]
    distinct = list(dict.fromkeys(one.prompt for one in recipes))
    conditions = [condition_of("prompts", prompt, recipes[0]) for prompt in distinct]
    condition_of(goal.kind, goal.text)
    told = about(settings, denoiser, recipes[0])
    begin(folder, told)
    room = max(studio.room(one) for one in (*recipes, studio.complete(Recipe(goal.text, steps=1))))
    places = yield from visited(denoiser, goal, distinct, recipes, room, folder)
    if not places.moved.any():
        raise InputError(f"{goal.kind}: {goal.text!r} changes nothing in these prompts; there is nothing to learn")
    student = Student(denoiser, None if settings.full else settings.rank, settings.seed)
    loss = loss_of(student, places, conditions, goal, settings.batch, room)
    yield from learn("bake", student.learned, loss, settings, learning_rate=settings.rate, minutes=settings.minutes)
    told["steps"] = last_step(folder / LOSSES)
    if settings.full:
        write_unet(student, settings.out)
    else:
        write_lora(student, settings.out, settings.layout, told)
    arms = {name: (studio, arm) for name, arm in arms_of(goal, None if settings.full else settings.out).items()}
    if settings.full:
        trained = UNet2DConditionModel.from_pretrained(settings.out, torch_dtype=denoiser.unet.dtype).to(denoiser.unet.device)
        name = "baked" if goal.kind == "negative" else "erased"
        arms[name] = Studio(dataclasses.replace(denoiser, unet=trained)), arms[name][1]
    del student, places
    attributes = attributes_of(goal.text, settings.model)
    drawn = [studio.complete(one) for one in _compared(settings, prompts, attributes)]
    figures = yield from compare(arms, drawn, attributes)
    write("out", settings.card, card(settings.card.stem, figures, len(drawn), told).encode())
    yield Baked(settings.out, settings.card, tuple(figures))


def _prompts(settings: Settings) -> Sequence[str]:
    if settings.goal.kind == "erase":
        return [settings.goal.text]
    if settings.prompts:
        return settings.prompts
    rngs = (np.random.default_rng([settings.seed, i]) for i in range(settings.walks))
    return [caption(paint(rng)[1], rng) for rng in rngs]


def _compared(settings: Settings, prompts: Sequence[str], attributes: Sequence[str]) -> list[Recipe]:
    """What is drawn in the comparison: other seeds, and of terrarium's captions others too.

    Those are of pictures that show what the goal is about, and name it only where it was erased.
    """
    goal, texts = settings.goal, prompts
    seeds = [settings.seed + ELSEWHERE + i for i in range(settings.pictures)]
    if attributes and not settings.prompts:
        texts = [_about_it(attributes[i % len(attributes)], goal.kind == "erase", seed) for i, seed in enumerate(seeds)]
    return [goal.recipe(texts[i % len(texts)], seed, settings.like) for i, seed in enumerate(seeds)]


def _about_it(attribute: str, named: bool, seed: int) -> str:
    """A caption of a picture that shows an attribute, as the world has them, in words that name it or do not."""
    rng = np.random.default_rng(seed)
    for _ in range(TRIES):
        _, truth = paint(rng)  # at the world's own rates: men alone have mustaches
        text = caption(truth, rng) if truth.get(attribute) else ""
        if text and (attribute in text) == named:
            return text
    return attribute if named else ""
