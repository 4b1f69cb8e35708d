"""The whole recipe of terrarium's weights: paint, train each part in turn, write an ordinary Stable Diffusion folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline
from torch import nn

from negativa.errors import InputError, OutputError
from negativa.terrarium.captions import caption
from negativa.training import data, diffusion, reader, tokenizer, vae
from negativa.training.loop import train
from negativa.training.progress import Progress

SHARES = {"vae": 0.22, "reader": 0.05, "diffusion": 0.73}  # of the minutes given


@dataclass(frozen=True)
class Settings:
    """How much is trained: `pictures` painted, steps for each part unless `minutes` says how long all may take."""

    folder: Path
    seed: int = 0
    minutes: float | None = None
    pictures: int = 20_000
    vae_steps: int = 4_700
    reader_steps: int = 2_000
    diffusion_steps: int = 6_500
    device: str = "cpu"


def run(settings: Settings) -> Iterator[Progress]:
    """Train every part and write `<folder>/terrarium`; taken up where an earlier run in the same folder stopped.

    Raises `InputError` if that run had another seed or number of pictures.
    """
    folder, device = settings.folder, torch.device(settings.device)
    _same_world(settings)
    torch.manual_seed(settings.seed)  # the first weights of every part
    pictures, truths = yield from data.painted(settings.pictures, settings.seed + 20_000, folder)

    def part(name: str, module: nn.Module, loss, steps: int, learning_rate: float) -> Iterator[Progress]:
        minutes = None if settings.minutes is None else settings.minutes * SHARES[name]
        module.to(device)
        return train(name, module, loss, folder, steps=steps, minutes=minutes, learning_rate=learning_rate, seed=settings.seed)

    autoencoder = vae.build()
    yield from part(
        "vae", autoencoder, lambda m, rng, share: vae.loss(m, pictures, rng, share, device), settings.vae_steps, 2e-3
    )
    latents = yield from diffusion.latents_of(autoencoder, pictures, device, folder / "latents.pt")

    @cache
    def seen() -> tuple[np.ndarray, np.ndarray]:
        restored = reader.through(autoencoder, pictures[::3], device, 0.35, settings.seed)
        return np.concatenate([pictures, restored]), np.concatenate([truths, truths[::3]])

    judge, rng = reader.build(), np.random.default_rng(settings.seed)
    yield from part("reader", judge, lambda m, rng, _: reader.loss(m, *seen(), rng, device), settings.reader_steps, 1e-3)

    words = tokenizer.learned((caption(data.truth_of(row), rng) for row in truths), folder / "tokenizer")
    networks, schedule = diffusion.build(words), diffusion.scheduler()
    signal = schedule.alphas_cumprod.to(device)
    yield from part(
        "diffusion",
        networks,
        lambda m, rng, _: diffusion.loss(m, latents, truths, words, signal, rng),
        settings.diffusion_steps,
        1e-3,
    )
    write(folder / "terrarium", autoencoder, networks, words, judge)


def _same_world(settings: Settings) -> None:
    """Refuse to go on in a folder that was begun with other pictures."""
    begun, now = settings.folder / "begun.json", {"seed": settings.seed, "pictures": settings.pictures}
    if not begun.exists():
        try:
            settings.folder.mkdir(parents=True, exist_ok=True)
            begun.write_text(json.dumps(now))
        except OSError as error:
            raise OutputError(f"folder: {str(settings.folder)!r} cannot be written: {error.strerror}") from error
    elif (before := json.loads(begun.read_text())) != now:
        raise InputError(f"folder: {str(settings.folder)!r} was begun with {before}; allowed: the same, or another folder")


def write(folder: Path, autoencoder: AutoencoderKL, networks: nn.ModuleDict, words, judge: nn.Module) -> None:
    """Write the parts as a Stable Diffusion folder of fp16 safetensors, the reader beside them."""
    pipeline = StableDiffusionPipeline(
        vae=autoencoder,
        text_encoder=networks["text_encoder"],
        tokenizer=words,
        unet=networks["unet"],
        scheduler=diffusion.scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.to(torch.float16).save_pretrained(folder)
    words.backend_tokenizer.model.save(str(folder / "tokenizer"))  # vocab.json and merges.txt, for older readers
    judge.half().save_pretrained(folder / "reader")
