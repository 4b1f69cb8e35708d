"""Stable Diffusion 1.x and 2.x, noise and velocity prediction, on diffusers' and transformers' own modules."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from PIL import Image as pillow
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from negativa.denoisers.adapters import Adapters
from negativa.denoisers.embeddings import Shelf, merge
from negativa.denoisers.patches import PATCHES
from negativa.denoisers.patches.places import Company, Patch, inside
from negativa.denoisers.patches.seeing import Picture
from negativa.denoisers.patches.shown import Pictured
from negativa.denoisers.texts import ClipTexts
from negativa.errors import InputError, nearest
from negativa.plain.conditions import Condition, Nothing, Shown, Words, text_of
from negativa.plain.images import Blank, Image
from negativa.plain.passes import Pass

TOKEN: Final = re.compile(r"<[^<>\s]+>")  # as learned tokens are written
REMEMBERED: Final = 1024  # distinct texts whose embeddings are kept


@dataclass
class StableDiffusion:
    """A loaded pipeline's parts; see `Denoiser`. Text embeddings are computed once for each distinct text."""

    name: str
    hash: str
    unet: UNet2DConditionModel
    vae: AutoencoderKL
    text_encoder: CLIPTextModel
    tokenizer: CLIPTokenizer
    scheduler: Mapping[str, Any]
    scale: float
    shelf: Shelf = field(default_factory=Shelf)
    _embeddings: dict[tuple[Words | Nothing, int], Tensor] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        for network in (self.unet, self.vae, self.text_encoder):
            network.eval().requires_grad_(False)
        self.unet.to(memory_format=torch.channels_last)
        self.vae.to(memory_format=torch.channels_last)
        self.device, self.dtype = str(self.unet.device), str(self.unet.dtype).removeprefix("torch.")
        self.patches = PATCHES
        self.adapters = Adapters(self.unet)
        self._texts = ClipTexts(self.tokenizer, self.text_encoder)
        self.factor = 2 ** (len(self.vae.config.block_out_channels) - 1)
        self.size = self.unet.config.sample_size * self.factor

    def shape(self, width: int, height: int) -> tuple[int, int, int]:
        return self.unet.config.in_channels, height // self.factor, width // self.factor

    @torch.inference_mode()
    def predict(self, latents: Sequence[Tensor], timesteps: Sequence[float], passes: Sequence[Pass]) -> Tensor:
        alike: dict[Hashable, list[int]] = {}
        for i, one in enumerate(passes):
            kind = tuple((patch.name, patch.numbers, len(patch.against)) for patch in one.patches)
            alike.setdefault((kind, one.room), []).append(i)
        predicted = torch.empty(len(passes), *latents[0].shape)
        for rows in alike.values():
            predicted[rows] = self._predict(*([given[i] for i in rows] for given in (latents, timesteps, passes)))
        return predicted

    def _predict(self, latents: list[Tensor], timesteps: list[float], passes: list[Pass]) -> Tensor:
        """Rows of equal room whose patches differ in nothing but the conditions that they read."""
        conditions: list[Condition] = [one.condition for one in passes]
        against = [[one.patches[place].against for one in passes] for place in range(len(passes[0].patches))]
        for patch, read in zip(passes[0].patches, against, strict=True):
            if patch.rows:
                conditions += [condition for column in zip(*read, strict=True) for condition, _ in column]
        pictures = [self._pictures(one) for one in conditions]
        size = (latents[0].shape[-2], latents[0].shape[-1])
        patches: list[tuple[Patch, Company]] = [
            (PATCHES[patch.name](**dict(patch.numbers)), self._company(read, passes[0].room, size, pictures))
            for patch, read in zip(passes[0].patches, against, strict=True)
        ]
        if any(pictures) and not any(patch.place == Pictured.place for patch, _ in patches):
            patches.append((Pictured(), self._company([[] for _ in passes], passes[0].room, size, pictures)))
        copies = len(conditions) // len(passes)
        rows = torch.stack(latents * copies).to(self.unet.device, self.unet.dtype, memory_format=torch.channels_last)
        times = torch.tensor(timesteps * copies, device=self.unet.device)
        states = torch.stack([self._embedding(one, passes[0].room) for one in conditions])
        with inside(self.unet, patches):
            predicted = self.unet(rows, times, states, return_dict=False)[0]
        return predicted[: len(passes)].float().cpu().contiguous()

    def _company(
        self,
        read: Sequence[Sequence[tuple[Condition, float]]],
        room: int,
        size: tuple[int, int],
        pictures: Sequence[Sequence[Picture]],
    ) -> Company:
        """What rows `read` beside their own conditions, each with its weight, and the `pictures` that they see themselves."""
        columns = [[condition for condition, _ in column] for column in zip(*read, strict=True)]
        return Company(
            states=[torch.stack([self._embedding(one, room) for one in column]) for column in columns],
            words=[[self._words(condition) for condition, _ in row] for row in read],
            weights=torch.tensor([[weight for _, weight in row] for row in read], device=self.unet.device).T,
            size=size,
            pictures=pictures,
            shown=[[self._pictures(one) for one in column] for column in columns],
        )

    def _pictures(self, condition: Condition) -> list[Picture]:
        """The pictures of a condition as their adapters see them."""
        return [
            Picture(self.adapters[one.adapter], self.adapters.tokens(one), weight, isinstance(one, Blank))
            for one, weight in (condition.pictures if isinstance(condition, Shown) else ())
        ]

    @torch.inference_mode()
    def decode(self, latents: Tensor) -> pillow.Image:
        scaled = latents[None].to(self.vae.device, self.vae.dtype) / self.vae.config.scaling_factor
        pixels = self.vae.decode(scaled, return_dict=False)[0][0].float()
        levels = ((pixels / 2 + 0.5).clamp(0, 1) * 255).round().byte()
        return pillow.fromarray(levels.permute(1, 2, 0).cpu().numpy())

    @torch.inference_mode()
    def look_at(self, image: Image | Blank) -> None:
        if image.adapter not in self.adapters:
            names = nearest(image.adapter, self.adapters) if self.adapters else "an adapter that is given to the model"
            raise InputError(f"image: the model {self.name!r} has no adapter {image.adapter!r}; {names}")
        self.adapters.tokens(image)

    def chunks(self, words: Words) -> int:
        return len(self._texts.chunks(self._written(words)))

    def learned(self, words: Words) -> dict[str, str]:
        found = [one for chunk in words.stretches for text, _ in chunk for one in self.shelf.written(text)[1]]
        return {one.bare: one.hash for one in found}

    def unread(self, words: Words) -> str:
        return self._texts.unread(self._written(words))

    def unknown(self, words: Words) -> list[str]:
        texts = [text for chunk in self._written(words) for text, _ in chunk]
        found = dict.fromkeys(token for text in texts for token in TOKEN.findall(text))
        return [token for token in found if len(self.tokenizer.tokenize(token)) > 1]

    def _written(self, words: Words) -> list[list[tuple[str, float]]]:
        """The stretches of a text with the tokens of embeddings in the place of their words; new ones join the encoder.

        Raises `InputError` for an embedding of another family.
        """
        written: list[list[tuple[str, float]]] = []
        for chunk in words.stretches:
            parts = [(*self.shelf.written(text), weight) for text, weight in chunk]
            for embedding in (one for _, found, _ in parts for one in found):
                if embedding.tokens[0] not in self.tokenizer.get_added_vocab():
                    merge(self.tokenizer, self.text_encoder, embedding)
                    self._texts = ClipTexts(self.tokenizer, self.text_encoder)
            written.append([(text, weight) for text, _, weight in parts])
        return written

    def _embedding(self, condition: Condition, room: int) -> Tensor:
        """What the text encoder says of its text, (tokens, width), for so many chunks."""
        text = text_of(condition)
        if (text, room) not in self._embeddings:
            if len(self._embeddings) >= REMEMBERED:
                del self._embeddings[next(iter(self._embeddings))]
            self._embeddings[text, room] = self._encode(text, room)
        return self._embeddings[text, room]

    def _encode(self, text: Words | Nothing, room: int) -> Tensor:
        match text:
            case Words():
                return self._texts.states(self._texts.chunks(self._written(text)), text.emphasis, room)
            case Nothing(kind):
                empty = self._texts.states([], "original", room)
                dropped = empty[:1].expand_as(empty).contiguous()
                return {"empty": empty, "dropped": dropped, "zeros": torch.zeros_like(empty)}[kind]
        raise TypeError(text)

    def _words(self, condition: Condition) -> Tensor:
        """What the encoder says of the words themselves, (tokens, width): without the start, the end and what fills up."""
        text = text_of(condition)
        read = self._texts.chunks(self._written(text)) if isinstance(text, Words) else [[]]
        states = self._texts.states(read, "original", 0).unflatten(0, (len(read), -1))
        return torch.cat([chunk[1 : 1 + len(tokens)] for chunk, tokens in zip(states, read, strict=True)])
