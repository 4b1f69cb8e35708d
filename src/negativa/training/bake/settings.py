"""What a baking is told, and the folder from which a later run goes on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from negativa.denoisers.unet import UNetDiffusion
from negativa.errors import InputError, OutputError, nearest
from negativa.plain.knobs import number
from negativa.plain.recipe import Recipe
from negativa.training import runs
from negativa.training.bake.goal import Goal
from negativa.training.bake.student import LAYOUTS

UNET: Final = ("config.json", "diffusion_pytorch_model")  # how the files of a U-Net's folder begin
RANGES: Final = {"steps": (1, 10**6), "batch": (1, 4096), "rank": (1, 1024), "walks": (1, 10**5), "pictures": (1, 10**4)}


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
        runs.check_numbers(self, RANGES)
        if self.minutes is not None and number("minutes", self.minutes) <= 0:
            raise InputError(f"minutes: {self.minutes!r} was given; allowed: a number above 0")
        if self.layout not in LAYOUTS:
            raise InputError(f"layout: {self.layout!r} was given; {nearest(str(self.layout), LAYOUTS)}")
        if self.dtype == "float16":
            raise InputError("dtype: 'float16' was given, in which small gradients vanish; allowed: float32, bfloat16")
        if self.goal.kind == "slider" and self.full:
            raise InputError("full: given for a slider, which is a LoRA of any weight; allowed: a negative, or erase")
        if self.goal.any_scale and self.full:
            raise InputError("full: given with any_scale, which is the weight of a LoRA; allowed: without it")
        if self.goal.kind == "erase" and self.prompts:
            raise InputError("prompts: given with erase, which learns from the concept alone; allowed: none")
        if self.goal.kind != "erase" and self.model != "terrarium" and not self.prompts:
            raise InputError(f"prompts: none were given for {self.model!r}; allowed: a file of them, one a line")

    @property
    def rate(self) -> float:
        """The learning rate, which may be larger for a LoRA than for all weights."""
        return self.learning_rate if self.learning_rate is not None else 5e-5 if self.full else 5e-4

    @property
    def place(self) -> Path:
        """The folder of what a later run goes on from."""
        return self.folder or runs.beside(self.out, "-training", self.full)

    @property
    def card(self) -> Path:
        """The file of what the comparison finds."""
        return runs.beside(self.out, ".md", self.full)


def check_out(settings: Settings) -> None:
    """Raise `InputError` or `OutputError` if the result or its card cannot be written: worth knowing before the work."""
    out, endings = settings.out, () if settings.full else (".safetensors",)
    runs.check_out(out, settings.place, settings.overwrite, endings)
    runs.check_out(settings.card, settings.place, settings.overwrite, (".md",))
    if settings.full and out.exists() and any(not file.name.startswith(UNET) for file in out.iterdir()):
        raise OutputError(f"out: {str(out)!r} holds more than a U-Net, which would be lost; allowed: a new name")


def about(settings: Settings, denoiser: UNetDiffusion, recipe: Recipe) -> dict[str, Any]:
    """What decides the weights, as plain values: a run that goes on must have the same."""
    texts = "\n".join(settings.prompts)
    return {
        "goal": settings.goal.kind,
        "text": settings.goal.text,
        "scale": recipe.scale,
        "any scale": settings.goal.any_scale,
        "model": settings.model,
        "family": denoiser.family,
        "model hash": denoiser.hash,
        "dtype": str(denoiser.unet.dtype).removeprefix("torch."),
        "prompts": hashlib.sha256(texts.encode()).hexdigest()[:16] if texts else "",
        "sampler": f"{recipe.sampler}, {recipe.steps} steps, {recipe.width}x{recipe.height}",
        "walks": settings.walks,
        "weights": "all" if settings.full else f"a LoRA of rank {settings.rank}",
        "steps": settings.steps,
        "batch": settings.batch,
        "learning rate": settings.rate,
        "seed": settings.seed,
    }
