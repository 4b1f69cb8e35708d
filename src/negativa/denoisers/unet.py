"""Families of Stable Diffusion whose denoising network is a U-Net: patches inside of it, LoRAs, adapters that see pictures."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor

from negativa.denoisers.encoding import Encoding
from negativa.denoisers.latent import LatentDiffusion
from negativa.denoisers.loras import Acting, Lora, Loras
from negativa.denoisers.patches import PATCHES
from negativa.denoisers.patches.places import Company, Patch, blocks_of, inside
from negativa.denoisers.patches.plain import Plain
from negativa.denoisers.patches.seeing import Picture, Read, Told
from negativa.plain.conditions import Condition, Shown
from negativa.plain.passes import Pass

#: What a U-Net of another kind is told beside its latents, as those of unCLIP, of Kandinsky and of distilled guidance.
UNTOLD: Final = ("class_embed_type", "encoder_hid_dim_type", "time_cond_proj_dim")


@dataclass(kw_only=True)
class UNetDiffusion(LatentDiffusion):
    """Reads texts in cross-attention, where patches and adapters change what is read."""

    denoising = "unet"

    unet: UNet2DConditionModel

    @classmethod
    def fits(cls, parts: Mapping[str, Any]) -> bool:
        unet, vae = parts["unet"].config, parts["vae"].config
        return (
            unet.in_channels == unet.out_channels == vae.latent_channels
            and unet.cross_attention_dim == sum(parts[name].config.hidden_size for name in parts if "text_encoder" in name)
            and isinstance(unet.sample_size, int)
            and not any(unet.get(told) for told in UNTOLD)
            and vae.latents_mean is None  # else its latents are scaled otherwise
        )

    def beside(self, read: Sequence[Encoding], size: tuple[int, int]) -> dict[str, Tensor] | None:
        """What the U-Net is told of each row beside what it reads and its latents, whose height and width are `size`."""
        return None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.unet.to(memory_format=torch.channels_last)
        self._blocks = blocks_of(self.unet)
        self.patches = {
            name: patch for name, patch in PATCHES.items() if any(block.startswith(patch.where) for block in self._blocks)
        }
        self._read = Read()
        self.loras = Loras({part: getattr(self, part) for part in self.networks if part != "vae"}, self.family)

    def _alike(self, one: Pass) -> Hashable:
        return super()._alike(one), self._loras_of(one)

    def _acting_on_texts(self) -> Hashable:
        return self.loras.on_texts

    def _changed_for(self, one: Pass) -> AbstractContextManager[None]:
        return self.loras.put(self._loras_of(one))

    def _predict(self, latents: list[Tensor], timesteps: list[float], passes: list[Pass]) -> Tensor:
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

    def refresh(self) -> None:
        super().refresh()
        if self.loras.refresh():
            self._encodings.clear()  # by whose tensors what is read of them is known

    def lora(self, file: str) -> Lora:
        return self.loras[file]
