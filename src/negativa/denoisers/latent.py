"""Latent diffusion on diffusers' and transformers' own modules: what all families of Stable Diffusion have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

import torch
from diffusers import AutoencoderKL
from PIL import Image as pillow
from torch import Tensor, nn

from negativa.denoisers.adapters import Adapters
from negativa.denoisers.patches.seeing import Picture
from negativa.denoisers.reading import Reading
from negativa.denoisers.upsampling import transpose_upsampling
from negativa.errors import InputError, nearest
from negativa.plain.conditions import Condition, NothingKind, Shown
from negativa.plain.images import Blank, Image
from negativa.plain.knobs import KNOBS
from negativa.plain.passes import Pass

SIDE: Final = 128  # latents, of the pictures of a model that does not say: 1024 pixels
TILE: Final = 64  # latents a side, of what is decoded at a time where memory is short; a quarter of it is shared with the next


@dataclass(kw_only=True)
class LatentDiffusion(Reading):
    """A loaded pipeline's parts; see `Denoiser`.

    A family says what it is called (`family`), which of diffusers' pipelines it is, the `usual_scale` of guidance and the
    `usual_nothing` there, which `networks` and `tokenizers` its folders hold, which of them are `optional`, which network is
    `denoising`, and what reads its texts.
    """

    family: ClassVar[str]
    pipeline: ClassVar[str]
    usual_scale: ClassVar[float]
    usual_nothing: ClassVar[NothingKind]
    networks: ClassVar[Mapping[str, type]]
    tokenizers: ClassVar[Mapping[str, type]]
    optional: ClassVar[frozenset[str]] = frozenset()
    denoising: ClassVar[str]
    distilled_scale: float | None = field(default=None, init=False)

    name: str
    hash: str
    scale: float
    nothing: NothingKind
    scheduler: Mapping[str, Any]
    vae: AutoencoderKL

    @classmethod
    @abstractmethod
    def fits(cls, parts: Mapping[str, Any]) -> bool:
        """Whether parts, by name, make a text-to-image model of this family; those of an inpainting model do not."""

    @abstractmethod
    def _predict(self, latents: list[Tensor], timesteps: list[float], passes: list[Pass]) -> Tensor:
        """The predictions of rows that are `_alike`, on the CPU."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for part in self.networks:
            if (network := getattr(self, part)) is not None:
                network.eval().requires_grad_(False)
        network: Any = self.network
        self.device, self.dtype = str(network.device), str(network.dtype).removeprefix("torch.")
        if self.device == "cpu":
            transpose_upsampling(self.vae)
        self.vae.to(memory_format=torch.channels_last)
        self.patches: Mapping[str, Any] = {}
        self.adapters = Adapters(self.network)
        self.factor = 2 ** (len(self.vae.config.block_out_channels) - 1)
        self.vae.tile_latent_min_size, self.vae.tile_sample_min_size = TILE, TILE * self.factor
        self.multiple, self.largest = self.factor, int(KNOBS["width"].most)
        self.scaling = self.vae.config.scaling_factor, self.vae.config.shift_factor or 0.0
        self.size = network.config.get("sample_size", SIDE) * self.factor

    @property
    def network(self) -> nn.Module:
        """The network that denoises."""
        return getattr(self, self.denoising)

    def shape(self, width: int, height: int) -> tuple[int, int, int]:
        return self.vae.config.latent_channels, height // self.factor, width // self.factor

    def schedule(self, width: int, height: int) -> Mapping[str, Any]:
        return self.scheduler

    @torch.inference_mode()
    def predict(self, latents: Sequence[Tensor], timesteps: Sequence[float], passes: Sequence[Pass]) -> Tensor:
        alike: dict[Hashable, list[int]] = {}
        for i, one in enumerate(passes):
            alike.setdefault(self._alike(one), []).append(i)
        predicted = torch.empty(len(passes), *latents[0].shape)
        for rows in alike.values():
            with self._changed_for(passes[rows[0]]):
                predicted[rows] = self._predict(*([given[i] for i in rows] for given in (latents, timesteps, passes)))
        return predicted

    def _alike(self, one: Pass) -> Hashable:
        """What the passes of one call of the network have in common; their patches differ in nothing but what they read."""
        return tuple((patch.name, patch.numbers, len(patch.against)) for patch in one.patches), one.room

    def _changed_for(self, one: Pass) -> AbstractContextManager[None]:
        """The networks as a pass, and those alike, want them."""
        return nullcontext()

    def to_latents(self, pixels: Tensor) -> Tensor:
        """The latents (n, channels, height, width) of pictures (n, 3, height, width) from -1 to 1: the means, float32."""
        means = self.vae.encode(pixels.to(next(self.vae.parameters()))).latent_dist.mean.float()
        scale, shift = self.scaling
        return (means - shift) * scale

    def to_pixels(self, latents: Tensor, tiled: bool = False) -> Tensor:
        """The pictures (n, 3, height, width) of latents (n, channels, height, width): about -1 to 1, float32.

        `tiled` decodes `TILE` latents a side at a time and blends what overlaps.
        """
        scale, shift = self.scaling
        means = latents.to(next(self.vae.parameters())) / scale + shift
        decode = self.vae.tiled_decode if tiled else self.vae.decode
        return decode(means, return_dict=False)[0].float()

    @torch.inference_mode()
    def decode(self, latents: Sequence[Tensor], tiled: bool = False) -> list[pillow.Image | None]:
        pixels = self.to_pixels(torch.stack(list(latents)), tiled)
        if self.vae.dtype != torch.float32:
            for i, finite in enumerate(_finite(pixels)):
                if not finite and latents[i].isfinite().all():
                    pixels[i] = self._in_float32(latents[i], tiled)
        levels = ((pixels / 2 + 0.5).clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
        return [pillow.fromarray(one) if finite else None for one, finite in zip(levels, _finite(pixels), strict=True)]

    @torch.inference_mode(False)
    @torch.no_grad()
    def _in_float32(self, latents: Tensor, tiled: bool) -> Tensor:
        """The picture (3, height, width) of latents whose numbers run out of the range of the autoencoder's own type."""
        kind = self.vae.dtype
        self.vae.float()
        try:
            return self.to_pixels(latents[None], tiled)[0]
        finally:
            self.vae.to(kind)

    def lora(self, file: str) -> Any:
        raise InputError(f"lora: {file!r} was given with {self.name!r}; allowed: none, {self.family} reads none here")

    @torch.inference_mode()
    def look_at(self, image: Image | Blank) -> None:
        if image.adapter not in self.adapters:
            names = nearest(image.adapter, self.adapters) if self.adapters else "allowed: one given with --adapter FILE"
            raise InputError(f"image: the model {self.name!r} has no adapter {image.adapter!r}; {names}")
        self.adapters.tokens(image)

    def _pictures(self, condition: Condition) -> list[Picture]:
        """The pictures of a condition as their adapters see them."""
        return [
            Picture(self.adapters[one.adapter], self.adapters.tokens(one), weight, isinstance(one, Blank))
            for one, weight in (condition.pictures if isinstance(condition, Shown) else ())
        ]


def _finite(pixels: Tensor) -> list[bool]:
    """Of each picture, whether all of its numbers are finite."""
    return pixels.isfinite().flatten(1).all(1).tolist()
