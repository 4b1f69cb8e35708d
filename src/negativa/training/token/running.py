"""Learning a token from beginning to end: look, learn, write."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import InitProcessGroupKwargs
from diffusers import DDPMScheduler
from torch import Tensor, nn

from negativa.denoisers.embeddings import Embedding, write
from negativa.denoisers.unet import UNetDiffusion
from negativa.errors import InputError
from negativa.language import pictures as picture_files
from negativa.language.files import make_folder
from negativa.plain.quiet import quiet
from negativa.plain.recipe import Recipe
from negativa.sampling.steps import predicts
from negativa.studio import Studio
from negativa.training.denoising import WEIGHT, denoising, weighted
from negativa.training.progress import Notice, Progress, Trained
from negativa.training.runs import begin, check_out, learn, load_learner
from negativa.training.token.learner import Learner
from negativa.training.token.pictures import TEMPLATES, digest_of, encoded
from negativa.training.token.settings import PRECISIONS, Settings


@dataclass(frozen=True)
class Pictured:
    """What the token draws after so many steps: the file of the picture."""

    step: int
    file: Path


@dataclass(frozen=True, kw_only=True)
class Learned(Trained):
    """The embedding in the file, and the same `untrained`, as it was in the beginning."""

    embedding: Embedding
    untrained: Embedding

    def arms(self, folder: Path) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        placebo = f"<{self.embedding.bare}-untrained>"
        file = folder / f"{placebo[1:-1]}.safetensors"
        write(dataclasses.replace(self.untrained, name=placebo), file, overwrite=True)
        trained = {"negative": self.used, "embeddings": (str(self.file),)}
        return trained, {"negative": self.used.replace(self.name, placebo), "embeddings": (str(file),)}


Event = Progress | Notice | Pictured | Trained


def run(settings: Settings) -> Iterator[Event]:
    """Learn a token; taken up where an earlier run with the same settings stopped. The last that is told is a `Learned`.

    On a CPU, a run that was interrupted ends in the vectors of one that was not. Started by `accelerate launch`, several
    processes share the work, each with its own pictures of a step; the first alone writes.
    Raises `InputError` for pictures, a token or a model that cannot be used and for a folder that was begun otherwise,
    `ModelError` if the model cannot be read, `OutputError` if something cannot be written; what was reached is kept.
    """
    accelerator = accelerator_of(settings)
    yield from of_the_first(accelerator, _run(settings, accelerator))


def _run(settings: Settings, accelerator: Accelerator) -> Generator[Event, None, None]:
    files, folder, main = picture_files.files_in("pictures", settings.pictures), settings.place, accelerator.is_main_process
    check_out(settings.out, folder, settings.overwrite)
    _, denoiser = load_learner(settings.model, device_of(accelerator, settings), PRECISIONS[settings.precision])
    learner = Learner(denoiser, settings.token, settings.vectors, settings.init)
    layout = settings.layout_for(len(learner.vectors))
    seen = {"pictures": len(files), "digest": digest_of(files)}
    about = settings.about(family=denoiser.family, **{"model hash": denoiser.hash}, **seen)
    if main:
        begin(folder, about)
    accelerator.wait_for_everyone()
    latents = yield from encoded(files, denoiser)
    loss = loss_of(settings, denoiser, latents, learner.predict, learner.written)
    with closing(learn("token", learner, loss, settings, accelerator, accumulate=settings.accumulate)) as steps:
        for now in steps:
            yield now
            if main and settings.validate and now.step % settings.validate == 0:
                yield from _draw(settings, denoiser, learner, now.step)
    embedding = learner.embedding()
    if main:
        write(embedding, settings.out, layout, overwrite=True, notes={"negativa": json.dumps(about, ensure_ascii=False)})
    told = {"file": settings.out, "name": embedding.name, "used": settings.used, "about": about}
    yield Learned(**told, embedding=embedding, untrained=learner.start)


def accelerator_of(settings: Settings) -> Accelerator:
    """What brings precision and processes. Raises `InputError` for a precision that is not to be had here."""
    cpu = settings.device == "cpu" or not (torch.cuda.is_available() or torch.backends.mps.is_available())
    if settings.precision == "fp16" and cpu:
        raise InputError("precision: 'fp16' was given; allowed on a CPU: no, bf16")
    try:
        patience = InitProcessGroupKwargs(timeout=timedelta(days=1))  # others wait while the first draws
        return Accelerator(mixed_precision=settings.precision, cpu=cpu, device_placement=False, kwargs_handlers=[patience])
    except ValueError as error:
        raise InputError(
            f"precision: {settings.precision!r} was given; allowed: that of this process's earlier training, or a new process"
        ) from error


def device_of(accelerator: Accelerator, settings: Settings) -> str | None:
    """Where a process works: its own place among several, else where the settings say."""
    return str(accelerator.device) if accelerator.num_processes > 1 else settings.device


def of_the_first(accelerator: Accelerator, running: Generator[Event, None, None]) -> Iterator[Event]:
    """What the first process tells; the others do the same in silence. Whatever ends the listening ends the events too."""
    with closing(running) as events:
        yield from (event for event in events if accelerator.is_main_process)


def native_of(settings: Settings, denoiser: UNetDiffusion) -> str:
    """What a model predicts. Raises `InputError` if nothing can be learned from that."""
    if (native := predicts(denoiser.scheduler)) == "x0":
        raise InputError(f"model: {settings.model!r} predicts x0; allowed: one that predicts noise or velocity")
    return native


def loss_of(settings: Settings, denoiser: UNetDiffusion, latents: Tensor, predict: Callable[..., Tensor], written: str):
    """The loss of a step: what the model itself was trained with, under captions that say the token alone (Gal et al. 2022,
    arXiv 2208.01618, equation 2).

    `predict` answers noisy latents, timesteps and texts with the denoiser's prediction; `written` is how a text says the token.
    """
    with quiet():
        schedule = DDPMScheduler.from_config(dict(denoiser.scheduler))
    native = native_of(settings, denoiser)
    signal, power = schedule.alphas_cumprod.to(denoiser.device), WEIGHT if settings.model == "terrarium" else 0.0
    texts = TEMPLATES[settings.templates]

    def loss(_: nn.Module, rng: np.random.Generator, __: float) -> Tensor:
        batch = denoising(latents, signal, rng, count=settings.batch, velocity=native == "velocity")
        said = [texts[i].format(written) for i in rng.integers(len(texts), size=settings.batch)]
        return weighted(predict(batch.noisy, batch.timesteps, said), batch, power)

    return loss


def _draw(settings: Settings, denoiser: UNetDiffusion, learner: Learner, step: int) -> Iterator[Pictured]:
    """Draw the prompts with the vectors as they are."""
    folder = settings.place / "validation"
    prompts = settings.prompts or (TEMPLATES[settings.templates][0].format(settings.token),)
    studio = Studio(denoiser.afresh())
    recipes = [Recipe(one.replace(settings.token, learner.written), seed=settings.seed) for one in prompts]
    make_folder("folder", folder)
    for made in studio.generate_many(recipes):
        file = folder / f"{step:06}-{made.index}.png"
        picture_files.save(file, made.image, made.receipt, overwrite=True)
        yield Pictured(step, file)
