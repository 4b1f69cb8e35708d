"""The whole recipe of terrarium's weights: paint, train each part in turn, write an ordinary Stable Diffusion folder."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import CLIPModel, CLIPTokenizer

from negativa.errors import InputError, OutputError
from negativa.terrarium.captions import caption
from negativa.training import adapter, clip, data, diffusion, reader, token, tokenizer, vae
from negativa.training.loop import train
from negativa.training.progress import Progress

#: Of the minutes given.
SHARES = {"vae": 0.16, "reader": 0.06, "words": 0.04, "clip": 0.1, "diffusion": 0.53, "base": 0.04, "plus": 0.05, "token": 0.01}
UNSEEN = 0.1  # share of the pictures that no part learns from; the reader is calibrated on them


@dataclass(frozen=True)
class Settings:
    """How much is trained: `pictures` painted, steps for each part unless `minutes` says how long all may take."""

    folder: Path
    seed: int = 0
    minutes: float | None = None
    pictures: int = 24_000
    vae_steps: int = 4_700
    reader_steps: int = 2_500
    words_steps: int = 800
    clip_steps: int = 1_200
    diffusion_steps: int = 6_500
    adapter_steps: int = 1_500
    token_steps: int = 150
    device: str = "cpu"


def run(settings: Settings) -> Iterator[Progress]:
    """Train every part and write `<folder>/terrarium`; taken up where an earlier run in the same folder stopped.

    Raises `InputError` if that run had another seed or number of pictures.
    """
    folder, device = settings.folder, torch.device(settings.device)
    _same_world(settings)
    torch.manual_seed(settings.seed)  # the first weights of every part
    everything = yield from data.painted(settings.pictures, settings.seed + 20_000, folder)
    learned = round(settings.pictures * (1 - UNSEEN))
    (pictures, unseen), (truths, their_truths) = ((array[:learned], array[learned:]) for array in everything)

    def part(name: str, module: nn.Module, loss, steps: int, learning_rate: float) -> Iterator[Progress]:
        minutes = None if settings.minutes is None else settings.minutes * SHARES[name.partition(" ")[0]]
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

    reader.calibrate(judge, reader.through(autoencoder, unseen, device, 0, settings.seed), their_truths, device)

    words = tokenizer.learned((caption(data.truth_of(row), rng) for row in truths), folder / "tokenizer")
    both = nn.ModuleDict({"clip": clip.build(words), "truth": clip.knowing()})
    yield from part("words", both, lambda m, rng, _: clip.words_loss(m, truths, words, rng), settings.words_steps, 1e-3)
    towers, knowing = both["clip"], both["truth"].requires_grad_(False)
    text = towers.text_model.requires_grad_(False)
    towers.text_projection.requires_grad_(False)
    yield from part(
        "clip", towers, lambda m, rng, _: clip.loss(m, knowing, pictures, truths, words, rng), settings.clip_steps, 1e-3
    )

    unet, signal = diffusion.build(), diffusion.scheduler().alphas_cumprod.to(device)
    yield from part(
        "diffusion",
        unet,
        lambda m, rng, _: diffusion.loss(m, text, latents, truths, words, signal, rng),
        settings.diffusion_steps,
        1e-3,
    )
    unet.requires_grad_(False)
    vision, adapters = clip.vision(towers), dict[str, dict[str, Tensor]]()
    for kind in adapter.TOKENS:
        learned = adapter.attach(unet, kind, clip.WIDTH)
        goal = partial(adapter.loss, unet, text, vision, kind, latents, pictures, truths, words, signal)
        yield from part(kind, learned, lambda m, rng, _, goal=goal: goal(rng), settings.adapter_steps, 1e-3)
        adapters[kind] = adapter.checkpoint(unet)
    adapter.detach(unet)
    vectors = dict[str, Tensor]()
    for name, lesson in token.LESSONS.items():
        learner = token.Learner(name, lesson.vectors, text, words)
        goal = partial(token.loss, lesson=lesson, unet=unet, latents=latents, truths=truths, signal=signal)
        yield from part(f"token {name}", learner, lambda m, rng, _, goal=goal: goal(m, rng=rng), settings.token_steps, 5e-3)
        vectors[name] = learner.vectors
    write(folder / "terrarium", autoencoder, unet, towers, words, judge, adapters, vectors)


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


def write(
    folder: Path,
    autoencoder: AutoencoderKL,
    unet: UNet2DConditionModel,
    towers: CLIPModel,
    words: CLIPTokenizer,
    judge: nn.Module,
    adapters: Mapping[str, Mapping[str, Tensor]],
    vectors: Mapping[str, Tensor],
) -> None:
    """Write the parts as a Stable Diffusion folder of fp16 safetensors; reader, CLIP, adapters and tokens beside them."""
    pipeline = StableDiffusionPipeline(
        vae=autoencoder,
        text_encoder=towers.text_model,
        tokenizer=words,
        unet=unet,
        scheduler=diffusion.scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.to(torch.float16).save_pretrained(folder)
    words.backend_tokenizer.model.save(str(folder / "tokenizer"))  # vocab.json and merges.txt, for older readers
    judge.half().save_pretrained(folder / "reader")
    towers.half().save_pretrained(folder / "clip")
    words.save_pretrained(folder / "clip")
    clip.processor().save_pretrained(folder / "clip")
    (folder / "ip_adapter").mkdir(exist_ok=True)
    for kind, state in adapters.items():
        halves = {name: value.half().cpu().contiguous() for name, value in state.items()}
        save_file(halves, folder / "ip_adapter" / f"{kind}.safetensors", {"format": "pt"})
    (folder / "tokens").mkdir(exist_ok=True)
    for name, rows in vectors.items():
        token.save(rows, name, token.LESSONS[name].layout, folder / "tokens" / f"{name}.safetensors")
