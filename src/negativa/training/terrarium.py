"""The whole recipe of terrarium's weights: paint, train each part in turn, write an ordinary Stable Diffusion folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPModel, CLIPTextModel, CLIPTokenizer

from negativa.denoisers.embeddings import Embedding
from negativa.terrarium.captions import caption
from negativa.training import adapter, clip, data, diffusion, lessons, reader, tokenizer, vae
from negativa.training.earlier import grow_autoencoder, grow_unet, translated
from negativa.training.examples import Examples
from negativa.training.folder import write
from negativa.training.loop import train
from negativa.training.progress import Progress
from negativa.training.runs import begin

#: Of the minutes given, by part, in the order of training.
SHARES: Final = {
    "vae": 0.14,
    "decoder": 0.04,
    "reader": 0.06,
    "words": 0.04,
    "clip": 0.1,
    "diffusion": 0.51,
    "base": 0.04,
    "plus": 0.05,
    "tokens": 0.02,
}
TRANSLATED: Final = 4000  # captions that tell an earlier text encoder's words from the new one's
UNSEEN: Final = 0.1  # share of the pictures that no part learns from; the reader is calibrated on them


@dataclass(frozen=True)
class Settings:
    """How much is trained: `pictures` painted, steps for each part unless `minutes` says how long all may take.

    `until` is the last part that is trained, one of `SHARES`; all are, and the folder is written, if it is None. `start` is the
    folder of an earlier terrarium, whose autoencoder and U-Net the new ones begin as.
    """

    folder: Path
    seed: int = 0
    minutes: float | None = None
    pictures: int = 30_000
    vae_steps: int = 6_000
    decoder_steps: int = 1_500
    reader_steps: int = 6_600
    words_steps: int = 900
    clip_steps: int = 1_400
    diffusion_steps: int = 9_000
    adapter_steps: int = 1_000
    token_steps: int = 150
    device: str = "cpu"
    until: str | None = None
    start: Path | None = None


def run(settings: Settings) -> Iterator[Progress]:
    """Train every part and write `<folder>/terrarium`; taken up where an earlier run in the same folder stopped.

    Raises `InputError` if that run had another seed or number of pictures, `OutputError` if the folder cannot be written.
    """
    start = None if settings.start is None else str(settings.start)
    begin(settings.folder, {"seed": settings.seed, "pictures": settings.pictures, "start": start})
    torch.manual_seed(settings.seed)  # the first weights of every part
    work = Work(settings)
    yield from work.painted()
    for name in SHARES:
        yield from getattr(work, f"train_{name}")()
        if name == settings.until:
            return
    work.write()


class Work:
    """One run: what its parts have made so far, each in `train_<part>`, which needs those before it."""

    pictures: np.ndarray
    truths: np.ndarray
    latents: Tensor

    def __init__(self, settings: Settings) -> None:
        self.settings, self.device = settings, torch.device(settings.device)
        self.autoencoder, self.judge, self.unet = vae.build(), reader.build(), diffusion.build()
        self.signal = diffusion.scheduler().alphas_cumprod.to(self.device)
        self.adapters, self.tokens = dict[str, dict[str, Tensor]](), dict[str, Embedding]()

    def painted(self) -> Iterator[Progress]:
        """The world: pictures and truths to learn from, and others that nothing learns from."""
        settings = self.settings
        pictures, truths = yield from data.painted(settings.pictures, settings.seed + 20_000, settings.folder)
        learned = round(settings.pictures * (1 - UNSEEN))
        self.pictures, self.unseen = pictures[:learned], (pictures[learned:], truths[learned:])
        self.truths = truths[:learned]

    def train_vae(self) -> Iterator[Progress]:
        earlier = None
        if self.settings.start is not None:
            earlier = AutoencoderKL.from_pretrained(self.settings.start / "vae", torch_dtype=torch.float32).to(self.device)
            grow_autoencoder(self.autoencoder, earlier)

        def loss(module: AutoencoderKL, rng: np.random.Generator, share: float) -> Tensor:
            return vae.loss(module, self.pictures, rng, share, self.device, earlier)

        rate = 2e-3 if earlier is None else 1e-3
        yield from self._part("vae", self.autoencoder, loss, self.settings.vae_steps, rate)
        kept = self.settings.folder / "latents.pt"
        means = yield from diffusion.means_of(self.autoencoder, self.pictures, self.device, kept)
        if earlier is not None and earlier.config.latent_channels < means.shape[1]:
            means = vae.balance(self.autoencoder, means, earlier.config.latent_channels)
        self.autoencoder.register_to_config(scaling_factor=float(1 / means.std()))
        self.latents = means * self.autoencoder.config.scaling_factor

    def train_decoder(self) -> Iterator[Progress]:
        means = self.latents / self.autoencoder.config.scaling_factor

        def loss(module: nn.ModuleDict, rng: np.random.Generator, share: float) -> Tensor:
            return vae.decoder_loss(module, self.pictures, means, rng, share)

        half = vae.decoding(self.autoencoder)
        yield from self._part("decoder", half, loss, self.settings.decoder_steps, 7e-4)

    def train_reader(self) -> Iterator[Progress]:
        def loss(module: nn.Module, rng: np.random.Generator, _: float) -> Tensor:
            return reader.loss(module, self._lessons, rng, self.device)

        yield from self._part("reader", self.judge, loss, self.settings.reader_steps, 1.5e-3)
        unseen, truths = self.unseen
        restored = reader.through(self.autoencoder, unseen, self.device, 0, self.settings.seed)
        reader.calibrate(self.judge, restored, truths, self.device)

    def train_words(self) -> Iterator[Progress]:
        rng = np.random.default_rng(self.settings.seed)
        captions = (caption(data.truth_of(row), rng) for row in self.truths)
        self.words = tokenizer.learned(captions, self.settings.folder / "tokenizer")
        both = nn.ModuleDict({"clip": clip.build(self.words), "truth": clip.knowing()})

        def loss(module: nn.ModuleDict, rng: np.random.Generator, _: float) -> Tensor:
            return clip.words_loss(module, self.truths, self.words, rng)

        yield from self._part("words", both, loss, self.settings.words_steps, 1e-3)
        self.towers, self.knowing = both["clip"], both["truth"].requires_grad_(False)
        self.text = self.towers.text_model.requires_grad_(False)
        self.towers.text_projection.requires_grad_(False)

    def train_clip(self) -> Iterator[Progress]:
        def loss(module: CLIPModel, rng: np.random.Generator, _: float) -> Tensor:
            return clip.loss(module, self.knowing, self.pictures, self.truths, self.words, rng)

        yield from self._part("clip", self.towers, loss, self.settings.clip_steps, 1e-3)

    def train_diffusion(self) -> Iterator[Progress]:
        examples = Examples(self.truths)

        def loss(module: UNet2DConditionModel, rng: np.random.Generator, _: float) -> Tensor:
            return diffusion.loss(module, self.text, self.latents, examples, self.words, self.signal, rng)

        if self.settings.start is not None:
            self._grow_unet(self.settings.start)
        yield from self._part("diffusion", self.unet, loss, self.settings.diffusion_steps, 1e-3)
        self.unet.requires_grad_(False)

    def train_base(self) -> Iterator[Progress]:
        yield from self._adapter("base")

    def train_plus(self) -> Iterator[Progress]:
        yield from self._adapter("plus")

    def train_tokens(self) -> Iterator[Progress]:
        for name, lesson in lessons.LESSONS.items():
            learner = lessons.learner(name, self.autoencoder, self.unet, self.text, self.words)
            world = {"latents": self.latents, "truths": self.truths, "signal": self.signal}
            goal, steps = partial(lessons.loss, lesson=lesson, **world), self.settings.token_steps
            yield from self._part(f"tokens {name}", learner, lambda m, rng, _, goal=goal: goal(m, rng=rng), steps, 5e-3)
            self.tokens[name] = learner.embedding(torch.float16)

    def write(self) -> None:
        """Everything, as `<folder>/terrarium`."""
        write(
            self.settings.folder / "terrarium",
            self.autoencoder,
            self.unet,
            self.towers,
            self.words,
            self.judge,
            self.adapters,
            self.tokens,
        )

    def _part(
        self,
        name: str,
        module: nn.Module,
        loss: Callable[[Any, np.random.Generator, float], Tensor],
        steps: int,
        learning_rate: float,
    ) -> Iterator[Progress]:
        settings = self.settings
        minutes = None if settings.minutes is None else settings.minutes * SHARES[name.partition(" ")[0]]
        module.to(self.device)
        return train(
            name,
            module,
            loss,
            settings.folder,
            steps=steps,
            minutes=minutes,
            learning_rate=learning_rate,
            seed=settings.seed,
        )

    def _grow_unet(self, start: Path) -> None:
        unet = UNet2DConditionModel.from_pretrained(start / "unet", torch_dtype=torch.float32)
        encoder = CLIPTextModel.from_pretrained(start / "text_encoder", torch_dtype=torch.float32)
        words = CLIPTokenizer.from_pretrained(start / "tokenizer")
        rng = np.random.default_rng(self.settings.seed)
        texts = {caption(data.truth_of(row), rng) for row in self.truths[:TRANSLATED]}
        pair = self.text.cpu(), self.words
        grow_unet(self.unet, unet, translated(pair, (encoder.eval(), words), sorted(texts)))
        self.text.to(self.device)

    def _adapter(self, kind: str) -> Iterator[Progress]:
        learned, vision = adapter.attach(self.unet, kind, clip.WIDTH), clip.vision(self.towers)
        parts = self.latents, self.pictures, self.truths, self.words, self.signal
        goal = partial(adapter.loss, self.unet, self.text, vision, kind, *parts)
        yield from self._part(kind, learned, lambda m, rng, _: goal(rng), self.settings.adapter_steps, 1e-3)
        self.adapters[kind] = adapter.checkpoint(self.unet)
        adapter.detach(self.unet)

    @cached_property
    def _lessons(self) -> reader.Lessons:
        return reader.lessons(self.autoencoder, self.pictures, self.truths, self.device, self.settings.seed)
