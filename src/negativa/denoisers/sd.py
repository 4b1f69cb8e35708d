"""Stable Diffusion 1.x and 2.x, noise and velocity prediction, on diffusers' and transformers' own modules."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from PIL import Image
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from negativa.denoisers.patches import PATCHES
from negativa.denoisers.patches.places import Company, Patch, inside
from negativa.plain.conditions import Condition, Nothing, Words
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
    _embeddings: dict[Condition, Tensor] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        for network in (self.unet, self.vae, self.text_encoder):
            network.eval().requires_grad_(False)
        self.unet.to(memory_format=torch.channels_last)
        self.vae.to(memory_format=torch.channels_last)
        self.device, self.dtype = str(self.unet.device), str(self.unet.dtype).removeprefix("torch.")
        self.patches = PATCHES
        self.factor = 2 ** (len(self.vae.config.block_out_channels) - 1)
        self.size = self.unet.config.sample_size * self.factor

    def shape(self, width: int, height: int) -> tuple[int, int, int]:
        return self.unet.config.in_channels, height // self.factor, width // self.factor

    @torch.inference_mode()
    def predict(self, latents: Sequence[Tensor], timesteps: Sequence[float], passes: Sequence[Pass]) -> Tensor:
        alike: dict[Hashable, list[int]] = {}
        for i, one in enumerate(passes):
            kind = tuple((patch.name, patch.numbers, len(patch.against)) for patch in one.patches)
            alike.setdefault(kind, []).append(i)
        predicted = torch.empty(len(passes), *latents[0].shape)
        for rows in alike.values():
            predicted[rows] = self._predict(*([given[i] for i in rows] for given in (latents, timesteps, passes)))
        return predicted

    def _predict(self, latents: list[Tensor], timesteps: list[float], passes: list[Pass]) -> Tensor:
        """Rows whose patches differ in nothing but the conditions that they read."""
        states = [self._embedding(one.condition) for one in passes]
        patches: list[tuple[Patch, Company]] = []
        for place, patch in enumerate(passes[0].patches):
            read = [one.patches[place].against for one in passes]
            each = list(zip(*([self._embedding(condition) for condition, _ in row] for row in read), strict=True))
            company = Company(
                states=[torch.stack(column) for column in each],
                words=[[self._words(condition) for condition, _ in row] for row in read],
                weights=torch.tensor([[w for _, w in row] for row in read], device=self.unet.device).T,
                size=(latents[0].shape[-2], latents[0].shape[-1]),
            )
            patches.append((PATCHES[patch.name](**dict(patch.numbers)), company))
            if patch.rows:
                states += [state for column in each for state in column]
        copies = len(states) // len(passes)
        rows = torch.stack(latents * copies).to(self.unet.device, self.unet.dtype, memory_format=torch.channels_last)
        times = torch.tensor(timesteps * copies, device=self.unet.device)
        with inside(self.unet, patches):
            predicted = self.unet(rows, times, torch.stack(states), return_dict=False)[0]
        return predicted[: len(passes)].float().cpu().contiguous()

    @torch.inference_mode()
    def decode(self, latents: Tensor) -> Image.Image:
        scaled = latents[None].to(self.vae.device, self.vae.dtype) / self.vae.config.scaling_factor
        pixels = self.vae.decode(scaled, return_dict=False)[0][0].float()
        levels = ((pixels / 2 + 0.5).clamp(0, 1) * 255).round().byte()
        return Image.fromarray(levels.permute(1, 2, 0).cpu().numpy())

    def unread(self, text: str) -> str:
        known = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        room = self.tokenizer.model_max_length - 2  # start and end token
        spans = known["offset_mapping"]
        return text[spans[room][0] :] if len(spans) > room else ""

    def unknown(self, text: str) -> list[str]:
        return [token for token in dict.fromkeys(TOKEN.findall(text)) if len(self.tokenizer.tokenize(token)) > 1]

    def _embedding(self, condition: Condition) -> Tensor:
        if condition not in self._embeddings:
            if len(self._embeddings) >= REMEMBERED:
                del self._embeddings[next(iter(self._embeddings))]
            self._embeddings[condition] = self._encode(condition)
        return self._embeddings[condition]

    def _encode(self, condition: Condition) -> Tensor:
        """What the text encoder says, (tokens, width); each text is encoded alone, so that no other can change it."""
        match condition:
            case Words(text):
                return self._states(text)
            case Nothing("empty"):
                return self._states("")
            case Nothing("dropped"):
                return self._states("")[:1].expand(self.tokenizer.model_max_length, -1).contiguous()
            case Nothing("zeros"):
                return torch.zeros_like(self._states(""))
        raise TypeError(condition)

    def _words(self, condition: Condition) -> Tensor:
        """What the encoder says of the words themselves, (tokens, width): without the start, the end and what fills up."""
        text = condition.text if isinstance(condition, Words) else ""
        read = self.tokenizer(text, add_special_tokens=False, verbose=False).input_ids
        return self._embedding(condition)[1 : 1 + min(len(read), self.tokenizer.model_max_length - 2)]

    def _states(self, text: str) -> Tensor:
        length = self.tokenizer.model_max_length
        read = self.tokenizer(text, padding="max_length", max_length=length, truncation=True, return_tensors="pt")
        masked = getattr(self.text_encoder.config, "use_attention_mask", False)
        mask = read.attention_mask.to(self.text_encoder.device) if masked else None
        return self.text_encoder(read.input_ids.to(self.text_encoder.device), attention_mask=mask).last_hidden_state[0]
