"""Latent diffusion on diffusers' and transformers' own modules: what the families of Stable Diffusion have in common."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from PIL import Image as pillow
from torch import Tensor

from negativa.denoisers.adapters import Adapters
from negativa.denoisers.encoding import Encoding
from negativa.denoisers.loras import Acting, Lora, Loras
from negativa.denoisers.patches import PATCHES
from negativa.denoisers.patches.places import Company, Patch, blocks_of, inside
from negativa.denoisers.patches.plain import Plain
from negativa.denoisers.patches.seeing import Picture, Read, Told
from negativa.denoisers.reading import Reading
from negativa.errors import InputError, nearest
from negativa.plain.conditions import Condition, NothingKind, Shown
from negativa.plain.images import Blank, Image
from negativa.plain.passes import Pass


@dataclass(kw_only=True)
class LatentDiffusion(Reading):
    """A loaded pipeline's parts; see `Denoiser`.

    A family says what it is called (`family`), which of diffusers' pipelines it is, the `usual_scale` of guidance and the
    `usual_nothing` there, which `networks` and `tokenizers` its folders hold, and what reads its texts.
    """

    family: ClassVar[str]
    pipeline: ClassVar[str]
    usual_scale: ClassVar[float]
    usual_nothing: ClassVar[NothingKind]
    networks: ClassVar[Mapping[str, type]]
    tokenizers: ClassVar[Sequence[str]]

    name: str
    hash: str
    scale: float
    nothing: NothingKind
    scheduler: Mapping[str, Any]
    unet: UNet2DConditionModel
    vae: AutoencoderKL

    @classmethod
    def fits(cls, parts: Mapping[str, Any]) -> bool:
        """Whether parts, by name, make a text-to-image model of this family; those of an inpainting model do not."""
        unet, vae = parts["unet"].config, parts["vae"].config
        return (
            unet.in_channels == unet.out_channels == vae.latent_channels
            and unet.cross_attention_dim == sum(parts[name].config.hidden_size for name in parts if "text_encoder" in name)
            and isinstance(unet.sample_size, int)
            and vae.latents_mean is None  # else its latents are scaled otherwise
        )

    def beside(self, read: Sequence[Encoding], size: tuple[int, int]) -> dict[str, Tensor] | None:
        """What the U-Net is told of each row beside what it reads and its latents, whose height and width are `size`."""
        return None

    def __post_init__(self) -> None:
        super().__post_init__()
        for part in self.networks:
            getattr(self, part).eval().requires_grad_(False)
        self.unet.to(memory_format=torch.channels_last)
        self.vae.to(memory_format=torch.channels_last)
        self.device, self.dtype = str(self.unet.device), str(self.unet.dtype).removeprefix("torch.")
        self._blocks = blocks_of(self.unet)
        self.patches = {
            name: patch for name, patch in PATCHES.items() if any(block.startswith(patch.where) for block in self._blocks)
        }
        self._read = Read()
        self.adapters = Adapters(self.unet)
        self.loras = Loras({part: getattr(self, part) for part in self.networks if part != "vae"}, self.family)
        self.factor = 2 ** (len(self.vae.config.block_out_channels) - 1)
        self.scaling = self.vae.config.scaling_factor, self.vae.config.shift_factor or 0.0
        self.size = self.unet.config.sample_size * self.factor

    def shape(self, width: int, height: int) -> tuple[int, int, int]:
        return self.unet.config.in_channels, height // self.factor, width // self.factor

    @torch.inference_mode()
    def predict(self, latents: Sequence[Tensor], timesteps: Sequence[float], passes: Sequence[Pass]) -> Tensor:
        alike: dict[Hashable, list[int]] = {}
        for i, one in enumerate(passes):
            kind = tuple((patch.name, patch.numbers, len(patch.against)) for patch in one.patches)
            alike.setdefault((kind, one.room, self._loras_of(one)), []).append(i)
        predicted = torch.empty(len(passes), *latents[0].shape)
        for rows in alike.values():
            with self.loras.put(self._loras_of(passes[rows[0]])):
                predicted[rows] = self._predict(*([given[i] for i in rows] for given in (latents, timesteps, passes)))
        return predicted

    def _predict(self, latents: list[Tensor], timesteps: list[float], passes: list[Pass]) -> Tensor:
        """Rows of equal room and LoRAs whose patches differ in nothing but the conditions that they read."""
        conditions: list[Condition] = [one.condition for one in passes]
        against = [[one.patches[place].against for one in passes] for place in range(len(passes[0].patches))]
        for patch, others in zip(passes[0].patches, against, strict=True):
            if patch.rows:
                conditions += [condition for column in zip(*others, strict=True) for condition, _ in column]
        room, size = passes[0].room, (latents[0].shape[-2], latents[0].shape[-1])
        read = [self._encoding(one, room) for one in conditions]
        own, pictures = self._told(read), [self._pictures(one) for one in conditions]
        patches: list[tuple[Patch, Company]] = [
            (PATCHES[patch.name](**dict(patch.numbers)), self._company(own, others, room, size, pictures))
            for patch, others in zip(passes[0].patches, against, strict=True)
        ]
        if not any(patch.place == Plain.place for patch, _ in patches):
            patches.append((Plain(), self._company(own, [[] for _ in passes], room, size, pictures)))
        copies = len(conditions) // len(passes)
        like = next(self.unet.parameters())  # its own `device` and `dtype` look through all of it at every call
        rows = torch.stack(latents * copies).to(like, memory_format=torch.channels_last)
        times = torch.tensor(timesteps * copies, device=like.device)
        beside = self.beside(read, size)
        with inside(self._blocks, patches):  # which know what each row is told: the network itself hears of one
            predicted = self.unet(rows, times, own.rows[0][None], added_cond_kwargs=beside, return_dict=False)[0]
        return predicted[: len(passes)].float().cpu().contiguous()

    def told(
        self, conditions: Sequence[Condition], room: int, size: tuple[int, int]
    ) -> tuple[Tensor, dict[str, Tensor] | None]:
        """What the U-Net is told of rows beside their latents, of height and width `size`.

        The encodings of their texts, (rows, tokens, width), of `room` chunks each, and what else their family adds.
        """
        read = [self._encoding(one, room) for one in conditions]
        return torch.stack([one.states for one in read]), self.beside(read, size)

    def _told(self, read: Sequence[Encoding]) -> Told:
        return Told([one.states for one in read], self._read, self.loras.acting)

    def _company(
        self,
        own: Told,
        read: Sequence[Sequence[tuple[Condition, float]]],
        room: int,
        size: tuple[int, int],
        pictures: Sequence[Sequence[Picture]],
    ) -> Company:
        """What rows `read` beside their own conditions, each with its weight, and the `pictures` that they see themselves."""
        columns = [[condition for condition, _ in column] for column in zip(*read, strict=True)]
        return Company(
            own=own,
            others=[self._told([self._encoding(one, room) for one in column]) for column in columns],
            words=[[self._encoding(condition, room).words for condition, _ in row] for row in read],
            weights=torch.tensor([[weight for _, weight in row] for row in read], device=self.device).T,
            size=size,
            pictures=pictures,
            shown=[[self._pictures(one) for one in column] for column in columns],
        )

    def _loras_of(self, one: Pass) -> Acting:
        """The LoRAs of a pass, and those that adapters bring with them: they act where something is seen through these."""
        shown = one.condition.pictures if isinstance(one.condition, Shown) else ()
        through = (self.adapters[name] for name in dict.fromkeys(image.adapter for image, _ in shown))
        brought = {f"adapter {adapter.name}": adapter.lora for adapter in through if adapter.lora}
        for name, pairs in brought.items():
            self.loras.add(name, pairs)
        return (*one.loras, *((name, 1.0) for name in brought))

    def _pictures(self, condition: Condition) -> list[Picture]:
        """The pictures of a condition as their adapters see them."""
        return [
            Picture(self.adapters[one.adapter], self.adapters.tokens(one), weight, isinstance(one, Blank))
            for one, weight in (condition.pictures if isinstance(condition, Shown) else ())
        ]

    def to_latents(self, pixels: Tensor) -> Tensor:
        """The latents (n, channels, height, width) of pictures (n, 3, height, width) from -1 to 1: the means, float32."""
        means = self.vae.encode(pixels.to(next(self.vae.parameters()))).latent_dist.mean.float()
        scale, shift = self.scaling
        return (means - shift) * scale

    def to_pixels(self, latents: Tensor) -> Tensor:
        """The pictures (n, 3, height, width) of latents (n, channels, height, width): about -1 to 1, float32."""
        scale, shift = self.scaling
        means = latents.to(next(self.vae.parameters())) / scale + shift
        return self.vae.decode(means, return_dict=False)[0].float()

    @torch.inference_mode()
    def decode(self, latents: Tensor) -> pillow.Image:
        pixels = self.to_pixels(latents[None])[0]
        levels = ((pixels / 2 + 0.5).clamp(0, 1) * 255).round().byte()
        return pillow.fromarray(levels.permute(1, 2, 0).cpu().numpy())

    def lora(self, file: str) -> Lora:
        return self.loras[file]

    @torch.inference_mode()
    def look_at(self, image: Image | Blank) -> None:
        if image.adapter not in self.adapters:
            names = nearest(image.adapter, self.adapters) if self.adapters else "allowed: one given with --adapter FILE"
            raise InputError(f"image: the model {self.name!r} has no adapter {image.adapter!r}; {names}")
        self.adapters.tokens(image)
