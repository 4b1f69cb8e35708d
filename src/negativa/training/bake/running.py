"""Baking from beginning to end: walk, learn, write, compare."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from diffusers import UNet2DConditionModel

from negativa.denoisers.latent import LatentDiffusion
from negativa.errors import InputError, OutputError, nearest
from negativa.language.files import whole
from negativa.plain.knobs import number
from negativa.plain.knobs import whole as whole_number
from negativa.plain.recipe import Recipe
from negativa.studio import Studio, load
from negativa.terrarium import paint
from negativa.terrarium.captions import caption
from negativa.training.bake.comparing import Figure, arms_of, attributes_of, card, compare
from negativa.training.bake.goal import Goal, condition_of
from negativa.training.bake.student import LAYOUTS, Student, loss_of, write_lora, write_unet
from negativa.training.bake.walks import visited
from negativa.training.log import logged
from negativa.training.loop import train
from negativa.training.progress import Progress

RANGES: Final = {"steps": (1, 10**6), "batch": (1, 4096), "rank": (1, 1024), "walks": (1, 10**5), "pictures": (1, 10**4)}
ELSEWHERE: Final = 10**6  # after the seeds of the walks come those of the comparison
TRIES: Final = 100  # captions until one fits


@dataclass(frozen=True)
class Settings:
    """What is baked, and how long.

    `out` is the .safetensors file of a LoRA of that `rank`, in one of the `LAYOUTS`; or, if all weights are to learn (`full`),
    the folder of a U-Net. The guided sampler walks `walks` times, from the prompts in turn; the student takes `steps` steps of
    `batch` rows, or as many as fit into `minutes`. `prompts` may be empty for terrarium, whose captions then are the prompts,
    and is for a concept to erase, which is its own. `folder` holds what a later run goes on from; beside `out` if None.
    `pictures` are drawn an arm in the end. `like` says how the sampler walks and draws: its name, steps and size.
    Raises `InputError` for values out of range or at odds.
    """

    goal: Goal
    out: Path
    model: str = "terrarium"
    prompts: tuple[str, ...] = ()
    full: bool = False
    layout: str = "diffusers"
    rank: int = 32
    steps: int = 1000
    minutes: float | None = None
    batch: int = 16
    learning_rate: float | None = None
    walks: int = 256
    pictures: int = 24
    seed: int = 0
    folder: Path | None = None
    overwrite: bool = False
    like: Recipe = field(default_factory=Recipe)
    device: str | None = None
    dtype: str | None = "float32"

    def __post_init__(self) -> None:
        for name, (least, most) in RANGES.items():
            whole_number(name, getattr(self, name), least, most)
        Recipe(seed=self.seed)
        if not 0 < number("learning_rate", self.rate) <= 1:
            raise InputError(f"learning_rate: {self.learning_rate!r} was given; allowed: above 0, up to 1")
        if self.minutes is not None and number("minutes", self.minutes) <= 0:
            raise InputError(f"minutes: {self.minutes!r} was given; allowed: a number above 0")
        if self.layout not in LAYOUTS:
            raise InputError(f"layout: {self.layout!r} was given; {nearest(str(self.layout), LAYOUTS)}")
        if self.goal.kind == "slider" and self.full:
            raise InputError("full: given for a slider, which is a LoRA of any weight; allowed: a negative, or erase")
        if self.goal.kind == "erase" and self.prompts:
            raise InputError("prompts: given with erase, which learns from the concept alone; allowed: none")
        if not self.full and self.out.suffix.lower() != ".safetensors":
            raise InputError(f"out: {str(self.out)!r} was given; allowed: a file that ends in .safetensors")
        if self.goal.kind != "erase" and self.model != "terrarium" and not self.prompts:
            raise InputError(f"prompts: none were given for {self.model!r}; allowed: a file of them, one a line")

    @property
    def rate(self) -> float:
        """The learning rate, which may be larger for a LoRA than for all weights."""
        return self.learning_rate if self.learning_rate is not None else 5e-5 if self.full else 5e-4

    @property
    def place(self) -> Path:
        """The folder of what a later run goes on from."""
        return self.folder or self.out.with_name(f"{self.out.stem}-training")


@dataclass(frozen=True)
class Baked:
    """The end: the file or folder, its card, and the figures on it."""

    out: Path
    card: Path
    figures: tuple[Figure, ...]


def run(settings: Settings) -> Iterator[Progress | Baked]:
    """Bake; taken up where an earlier run with the same settings stopped. The last that is told is a `Baked`.

    Raises `InputError` for a text or model that cannot be baked and for a folder that was begun otherwise, `ModelError` if the
    model cannot be read, `OutputError` if the file cannot be written.
    """
    goal, folder = settings.goal, settings.place
    _check_out(settings)
    studio = load(settings.model, device=settings.device, dtype=settings.dtype)
    denoiser = studio.denoiser
    if not isinstance(denoiser, LatentDiffusion):
        raise InputError(f"model: {settings.model!r} has no weights that could learn; allowed: a Stable Diffusion")
    prompts = _prompts(settings)
    recipes = [
        studio.complete(goal.recipe(prompts[i % len(prompts)], settings.seed + i, settings.like)) for i in range(settings.walks)
    ]
    distinct = list(dict.fromkeys(one.prompt for one in recipes))
    conditions = [condition_of("prompts", prompt, recipes[0]) for prompt in distinct]
    condition_of(goal.kind, goal.text)
    about = _about(settings, denoiser, recipes[0])
    _begin(settings, about)
    room = max(studio.room(one) for one in (*recipes, Recipe(goal.text, steps=1)))
    places = yield from visited(denoiser, goal, distinct, recipes, room, folder)
    if not places.moved.any():
        raise InputError(f"{goal.kind}: {goal.text!r} changes nothing in these prompts; there is nothing to learn")
    student = Student(denoiser, None if settings.full else settings.rank, settings.seed)
    learning = train(
        "bake",
        student.learned,
        loss_of(student, places, conditions, goal.signs, settings.batch, room),
        folder,
        steps=settings.steps,
        minutes=settings.minutes,
        learning_rate=settings.rate,
        seed=settings.seed,
    )
    yield from logged(learning, folder / "losses.csv")
    if settings.full:
        write_unet(student, settings.out)
    else:
        write_lora(student, settings.out, settings.layout, about)
    arms = {name: (studio, change) for name, change in arms_of(goal, None if settings.full else settings.out).items()}
    if settings.full:
        trained = UNet2DConditionModel.from_pretrained(settings.out, torch_dtype=denoiser.unet.dtype).to(denoiser.unet.device)
        name = "baked" if goal.kind == "negative" else "erased"
        arms[name] = Studio(dataclasses.replace(denoiser, unet=trained)), arms[name][1]
    del student, places
    attributes = attributes_of(goal.text, settings.model)
    told = [studio.complete(one) for one in _compared(settings, prompts, attributes)]
    figures = yield from compare(arms, told, attributes)
    page = settings.out.with_name(f"{settings.out.stem}.md")
    with whole(page) as file:
        file.write(card(settings.out.stem, figures, len(told), about).encode())
    yield Baked(settings.out, page, tuple(figures))


def _check_out(settings: Settings) -> None:
    """Raise `OutputError` if the result cannot be written there: worth knowing before the work."""
    out, begun = settings.out, (settings.place / "begun.json").is_file()
    try:
        there, parent = out.exists(), out.parent.is_dir()
    except OSError as error:
        raise OutputError(f"out: {str(out)!r} cannot be written: {error.strerror}") from error
    if not parent:
        raise OutputError(f"out: there is no folder {str(out.parent)!r}")
    if not os.access(out.parent, os.W_OK):
        raise OutputError(f"out: the folder {str(out.parent)!r} cannot be written to")
    if there and (out.is_dir() or settings.full):
        raise OutputError(f"out: {str(out)!r} is there already; allowed: a new name")
    if there and not settings.overwrite and not begun:
        raise OutputError(f"out: {str(out)!r} is there already; allowed: a new name, or --overwrite")


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
    goal, texts = settings.goal, list(prompts)
    if settings.model == "terrarium" and not settings.prompts and attributes:
        texts = []
        for i in range(settings.pictures):
            rng, name = np.random.default_rng([settings.seed + ELSEWHERE, i]), attributes[i % len(attributes)]
            for _ in range(TRIES):
                text = caption(paint(rng, **{name.replace(" ", "_"): True})[1], rng)
                if text and (name in text) == (goal.kind == "erase"):
                    break
            texts.append(text)
    seeds = range(settings.seed + ELSEWHERE, settings.seed + ELSEWHERE + settings.pictures)
    return [goal.recipe(texts[i % len(texts)], seed, settings.like) for i, seed in enumerate(seeds)]


def _about(settings: Settings, denoiser: LatentDiffusion, recipe: Recipe) -> dict[str, Any]:
    """What decides the weights, as plain values: a run that goes on must have the same."""
    texts = "\n".join(settings.prompts)
    return {
        "goal": settings.goal.kind,
        "text": settings.goal.text,
        "scale": recipe.scale,
        "model": settings.model,
        "family": denoiser.family,
        "model hash": denoiser.hash,
        "prompts": hashlib.sha256(texts.encode()).hexdigest()[:16] if texts else "",
        "sampler": f"{recipe.sampler}, {recipe.steps} steps, {recipe.width}x{recipe.height}",
        "walks": settings.walks,
        "weights": "all" if settings.full else f"a LoRA of rank {settings.rank}",
        "steps": settings.steps,
        "batch": settings.batch,
        "learning rate": settings.rate,
        "seed": settings.seed,
    }


def _begin(settings: Settings, about: Mapping[str, Any]) -> None:
    """Make the folder, or refuse one that was begun otherwise."""
    folder = settings.place
    begun = folder / "begun.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not begun.exists():
            with whole(begun) as file:
                file.write(json.dumps(about, indent=1).encode())
        before = json.loads(begun.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"folder: {str(begun)!r} is damaged; allowed: another folder") from error
    except OSError as error:
        raise OutputError(f"folder: {str(folder)!r} cannot be written: {error.strerror}") from error
    for name, value in about.items():
        if before.get(name) != value:
            raise InputError(
                f"folder: {str(folder)!r} was begun with {name} {before.get(name)!r}, now {value!r} was given; "
                "allowed: the same, or another folder"
            )
