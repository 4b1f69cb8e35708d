"""Families whose denoising network is a transformer of joint attention, and the patches inside of it."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import nullcontext
from dataclasses import dataclass
from typing import ClassVar, Final

import torch
from torch import Tensor

from negativa.denoisers.adapters import JointNetwork
from negativa.denoisers.latent import LatentDiffusion
from negativa.denoisers.patches import PATCHES
from negativa.denoisers.patches.call import Call, Said, joined
from negativa.plain.conditions import Condition
from negativa.plain.passes import Pass

PATCHED: Final = ("flip", "nag", "nasa", "ong", "negtome")  # patches that go into any of them


@dataclass(kw_only=True)
class JointDiffusion(LatentDiffusion):
    """Reads texts in joint attention, where patches change what is read; what is pooled of them is told with the time."""

    denoising = "transformer"
    patched: ClassVar[tuple[str, ...]] = PATCHED

    transformer: JointNetwork

    @abstractmethod
    def _run(
        self, latents: Tensor, timesteps: Tensor, states: Tensor, pooled: Tensor, guidance: Tensor | None, skipped: bool
    ) -> Tensor:
        """The transformer's predictions; there may be fewer rows of `latents` than of all else."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.patches = {name: PATCHES[name] for name in self.patched}

    def _predict(self, latents: list[Tensor], timesteps: list[float], passes: list[Pass]) -> Tensor:
        room, like = passes[0].room, next(self.transformer.parameters())
        times = torch.tensor(timesteps, device=like.device)
        call = Call([self._said(one.condition, room) for one in passes], times)
        for place, patch in enumerate(passes[0].patches):
            against = list(zip(*(one.patches[place].against for one in passes), strict=True))  # negative by negative
            others = [[self._said(condition, room) for condition, _ in column] for column in against]
            weights = torch.tensor([[weight for _, weight in column] for column in against], device=like.device)
            PATCHES[patch.name](**dict(patch.numbers)).join(call, others, weights)
        told = [self.distilled_scale if one.distilled_scale is None else one.distilled_scale for one in passes]
        copies, pooled = len(call.read) // len(passes), [one.encoding.pooled for one in call.read]
        with nullcontext() if call.untouched else joined(self.transformer, call):
            predicted = self._run(
                torch.stack(latents * (copies if call.copied else 1)).to(like),
                times.repeat(copies),
                call.states(),
                torch.stack([one for one in pooled if one is not None]),
                None if self.distilled_scale is None else torch.tensor(told * copies, device=like.device),
                call.skipped,
            )
        return predicted[: len(passes)].float().cpu()

    def _said(self, condition: Condition, room: int) -> Said:
        return Said(self._encoding(condition, room), self._pictures(condition))
