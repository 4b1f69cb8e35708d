"""What a token learns, learned by a LoRA instead: the U-Net comes to draw under a word what the pictures show."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from accelerate import Accelerator
from torch import Tensor

from negativa.errors import InputError
from negativa.language.pictures import files_in
from negativa.plain.conditions import Words
from negativa.training.bake.student import LAYOUTS, Student, write_lora
from negativa.training.progress import Trained
from negativa.training.runs import begin, check_out, learn, load_learner
from negativa.training.token.pictures import TEMPLATES, digest_of, encoded
from negativa.training.token.running import Event, accelerator_of, device_of, loss_of, of_the_first
from negativa.training.token.settings import PRECISIONS, Settings

DECIDED: Final = ("steps", "batch", "accumulate", "precision", "seed", "learning rate", "model")


@dataclass(frozen=True, kw_only=True)
class LearnedLora(Trained):
    """A LoRA, and the word that means what it learned."""

    def arms(self, folder: Path) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        trained, untrained = ({"negative": self.used, "loras": ((str(self.file), weight),)} for weight in (1.0, 0.0))
        return trained, untrained


def word_of(settings: Settings) -> str:
    """The word that comes to mean what the LoRA learns."""
    return settings.token.strip("<>")


def layout_of(settings: Settings) -> str:
    """The LoRA's layout. Raises `InputError` for one that is a token's alone."""
    layout = settings.layout or "diffusers"
    if layout not in LAYOUTS:
        raise InputError(f"layout: {layout!r} was given for a LoRA; allowed: {', '.join(LAYOUTS)}")
    return layout


def decided(settings: Settings, rank: int) -> dict[str, Any]:
    """What decides a LoRA, as plain values, but for the pictures and the model."""
    return {"word": word_of(settings), "rank": rank, "templates": settings.templates} | {
        name: settings.about()[name] for name in DECIDED
    }


def run(settings: Settings, rank: int) -> Iterator[Event]:
    """Learn a LoRA of this rank from the pictures of `settings`, whose token without its brackets is the word for them.

    Taken up where an earlier run with the same settings stopped; the last that is told is a `LearnedLora`. Several processes
    share the work, and it raises, as `negativa.training.token.run` does.
    """
    accelerator = accelerator_of(settings)
    yield from of_the_first(accelerator, _run(settings, rank, accelerator))


def _run(settings: Settings, rank: int, accelerator: Accelerator) -> Generator[Event, None, None]:
    files, folder, layout = files_in("pictures", settings.pictures), settings.place, layout_of(settings)
    check_out(settings.out, folder, settings.overwrite)
    _, denoiser = load_learner(settings.model, device_of(accelerator, settings), PRECISIONS[settings.precision])
    word = word_of(settings)
    seen = {"pictures": len(files), "digest": digest_of(files), "family": denoiser.family, "model hash": denoiser.hash}
    about = decided(settings, rank) | seen
    if accelerator.is_main_process:
        begin(folder, about)
    accelerator.wait_for_everyone()
    latents = yield from encoded(files, denoiser)
    student = Student(denoiser, rank, settings.seed)

    def predict(noisy: Tensor, timesteps: Tensor, texts: list[str]) -> Tensor:
        return student.predict(noisy, timesteps, [Words(text) for text in texts], 1)

    loss = loss_of(settings, denoiser, latents, predict, word)
    yield from learn("lora", student.learned, loss, settings, accelerator, accumulate=settings.accumulate)
    if accelerator.is_main_process:
        write_lora(student, settings.out, layout, about)
    used = TEMPLATES[settings.templates][0].format(word)
    yield LearnedLora(file=settings.out, name=word, used=used, about=about)
