"""One run of terrarium's recipe: what each part needs of the others, and what it leaves to them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import CLIPModel, CLIPTextModel, CLIPTokenizer, CLIPVisionModelWithProjection, ResNetForImageClassification

from negativa.denoisers.embeddings import Embedding
from negativa.plain.quiet import quiet
from negativa.terrarium.captions import caption
from negativa.training import adapter, clip, data, diffusion, lessons, reader, tokenizer, vae
from negativa.training.earlier import grow_autoencoder, grow_unet, translated
from negativa.training.examples import Examples
from negativa.training.folder import write
from negativa.training.loop import train
from negativa.training.progress import Progress

if TYPE_CHECKING:
    from negativa.training.terrarium import Settings

TRANSLATED: Final = 4000  # captions that tell an earlier text encoder's words from the new one's
RATE, LATER_RATE = 1e-3, 3e-4  # the highest, of the U-Net and the adapters: untrained, and going on from earlier ones
IMITATING: Final = 0.2  # of the minutes of Plus: saying what the base adapter does, which needs no U-Net
UNSEEN: Final = 0.1  # share of the pictures that no part learns from; the reader is calibrated on them


class Work:
    """One run: what its parts have made so far, each in `train_<part>` or taken from an earlier one; it needs those before it.

    `minutes` is how long each part may train, by name; the tokens share theirs.
    """

    pictures: np.ndarray
    truths: np.ndarray
    latents: Tensor

    def __init__(self, settings: Settings, minutes: Mapping[str, float | None]) -> None:
        self.settings, self.minutes, self.device = settings, minutes, torch.device(settings.device)
        self.earlier = settings.start if settings.first else None  # the folder that parts are taken from, or go on from
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

    def train(self, name: str) -> Iterator[Progress]:
        """Train a part."""
        return getattr(self, f"train_{name}")()

    def take(self, name: str) -> Iterator[Progress]:
        """A part as the earlier terrarium has it."""
        start = self.earlier
        assert start is not None
        match name:
            case "vae":
                self.autoencoder = taken(AutoencoderKL, start / "vae").to(self.device)
                self.latents = (yield from self._means()) * self.autoencoder.config.scaling_factor
            case "reader":
                self.judge = taken(ResNetForImageClassification, start / "reader")
            case "words":
                self.words = CLIPTokenizer.from_pretrained(start / "clip")
                self.towers = taken(CLIPModel, start / "clip", attn_implementation="eager").to(self.device)
                self.text = self.towers.text_model.requires_grad_(False)
            case "diffusion":
                self._go_on(start)
                self.unet.to(self.device).requires_grad_(False)
            case "base" | "plus":
                self.adapters[name] = load_file(start / "ip_adapter" / f"{name}.safetensors")

    def train_vae(self) -> Iterator[Progress]:
        earlier = None
        if self.settings.start is not None:
            earlier = taken(AutoencoderKL, self.settings.start / "vae").to(self.device)
            grow_autoencoder(self.autoencoder, earlier)

        def loss(module: AutoencoderKL, rng: np.random.Generator, share: float) -> Tensor:
            return vae.loss(module, self.pictures, rng, share, self.device, earlier)

        rate = 2e-3 if earlier is None else 1e-3
        yield from self._part("vae", self.autoencoder, loss, self.settings.vae_steps, rate)
        means = yield from self._means()
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

        if self.earlier is not None:
            self._go_on(self.earlier)
        elif self.settings.start is not None:
            self._grow_unet(self.settings.start)
        rate = RATE if self.earlier is None else LATER_RATE
        yield from self._part("diffusion", self.unet, loss, self.settings.diffusion_steps, rate)
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
            share = 1 / len(lessons.LESSONS)
            yield from self._part(f"tokens {name}", learner, lambda m, rng, _, goal=goal: goal(m, rng=rng), steps, 5e-3, share)
            self.tokens[name] = learner.embedding(torch.float16)

    def write(self) -> None:
        """Everything, as `<folder>/terrarium`."""
        networks = self.autoencoder, self.unet, self.towers, self.words, self.judge
        with quiet():
            write(self.settings.folder / "terrarium", *networks, self.adapters, self.tokens)

    def _part(
        self,
        name: str,
        module: nn.Module,
        loss: Callable[[Any, np.random.Generator, float], Tensor],
        steps: int,
        learning_rate: float,
        share: float = 1.0,
    ) -> Iterator[Progress]:
        """Train a part, or with its name in front a step of it, which has this share of its minutes."""
        minutes = self.minutes[name.partition(" ")[0]]
        module.to(self.device)
        return train(
            name,
            module,
            loss,
            self.settings.folder,
            steps=steps,
            minutes=minutes and minutes * share,
            learning_rate=learning_rate,
            seed=self.settings.seed,
        )

    def _means(self) -> Generator[Progress, None, Tensor]:
        return diffusion.means_of(self.autoencoder, self.pictures, self.device, self.settings.folder / "latents.pt")

    def _go_on(self, start: Path) -> None:
        self.unet.load_state_dict(taken(UNet2DConditionModel, start / "unet").state_dict())

    def _grow_unet(self, start: Path) -> None:
        unet, encoder = taken(UNet2DConditionModel, start / "unet"), taken(CLIPTextModel, start / "text_encoder")
        words = CLIPTokenizer.from_pretrained(start / "tokenizer")
        rng = np.random.default_rng(self.settings.seed)
        texts = {caption(data.truth_of(row), rng) for row in self.truths[:TRANSLATED]}
        pair = self.text.cpu(), self.words
        grow_unet(self.unet, unet, translated(pair, (encoder.eval(), words), sorted(texts)))
        self.text.to(self.device)

    def _adapter(self, kind: str) -> Iterator[Progress]:
        vision, steps = clip.vision(self.towers), self.settings.adapter_steps
        begun = load_file(self.earlier / "ip_adapter" / f"{kind}.safetensors") if self.earlier else None
        share = 1.0
        if kind == "plus" and begun is None:
            begun, share = (yield from self._like_base(vision)), 1 - IMITATING
        learned = adapter.attach(self.unet, kind, clip.WIDTH, begun)
        parts = self.latents, self.pictures, self.truths, self.words, self.signal
        goal = partial(adapter.loss, self.unet, self.text, vision, kind, *parts)
        rate = RATE if begun is None else LATER_RATE
        yield from self._part(kind, learned, lambda m, rng, _: goal(rng), steps, rate, share)
        self.adapters[kind] = adapter.checkpoint(self.unet)
        adapter.detach(self.unet)

    def _like_base(self, vision: CLIPVisionModelWithProjection) -> Generator[Progress, None, dict[str, Tensor]]:
        """A Plus adapter that says what the base one does: a better beginning than none, for little work."""
        base = self.adapters["base"]
        adapter.attach(self.unet, "base", clip.WIDTH, base)
        copied = adapter.projection(self.unet)
        reading = {name: value for name, value in base.items() if name.startswith("ip_adapter.")}
        adapter.attach(self.unet, "plus", clip.WIDTH, reading)
        goal = partial(adapter.imitation, base=copied, vision=vision, pictures=self.pictures)
        learned, steps = adapter.projection(self.unet), self.settings.adapter_steps
        yield from self._part("plus imitating", learned, lambda m, rng, _: goal(m, rng=rng), steps, RATE, IMITATING)
        begun = adapter.checkpoint(self.unet)
        adapter.detach(self.unet)
        return begun

    @cached_property
    def _lessons(self) -> reader.Lessons:
        return reader.lessons(self.autoencoder, self.pictures, self.truths, self.device, self.settings.seed)


def taken(kind: Any, folder: Path, **settings: Any) -> Any:
    """A network as an earlier terrarium has it, in float32, which is what training wants."""
    with quiet():
        return kind.from_pretrained(folder, torch_dtype=torch.float32, **settings)
