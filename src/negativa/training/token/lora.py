"""What a token learns, learned by a LoRA instead: the U-Net comes to draw under a word what the pictures show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from torch import Tensor

from negativa.errors import InputError
from negativa.language.pictures import files_in
from negativa.plain.conditions import Words
from negativa.training.bake.student import LAYOUTS, Student, write_lora
from negativa.training.progress import Trained
from negativa.training.runs import begin, check_out, learn, load_learner
from negativa.training.token.pictures import TEMPLATES, digest_of, encoded
from negativa.training.token.running import Event, loss_of
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


def decided(settings: Settings, rank: int) -> dict[str, Any]:
    """What decides a LoRA, as plain values, but for the pictures and the model."""
    return {"word": word_of(settings), "rank": rank, "templates": settings.templates} | {
        name: settings.about()[name] for name in DECIDED
    }


def run(settings: Settings, rank: int) -> Iterator[Event]:
    """Learn a LoRA of this rank from the pictures of `settings`, whose token without its brackets is the word for them.

    Taken up where an earlier run with the same settings stopped; the last that is told is a `LearnedLora`. Raises as
    `negativa.training.token.run` does.
    """
    files, folder, layout = files_in("pictures", settings.pictures), settings.place, settings.layout or "diffusers"
    if layout not in LAYOUTS:
        raise InputError(f"layout: {layout!r} was given for a LoRA; allowed: {', '.join(LAYOUTS)}")
    check_out(settings.out, folder, settings.overwrite)
    _, denoiser = load_learner(settings.model, settings.device, PRECISIONS[settings.precision])
    word = word_of(settings)
    seen = {"pictures": len(files), "digest": digest_of(files), "family": denoiser.family, "model hash": denoiser.hash}
    about = decided(settings, rank) | seen
    begin(folder, about)
    latents = yield from encoded(files, denoiser)
    student = Student(denoiser, rank, settings.seed)

    def predict(noisy: Tensor, timesteps: Tensor, texts: list[str]) -> Tensor:
        return student.predict(noisy, timesteps, [Words(text) for text in texts], 1)

    loss = loss_of(settings, denoiser, latents, predict, word)
    yield from learn("lora", student.learned, loss, settings, accumulate=settings.accumulate)
    write_lora(student, settings.out, layout, about)
    used = TEMPLATES[settings.templates][0].format(word)
    yield LearnedLora(file=settings.out, name=word, used=used, about=about)
