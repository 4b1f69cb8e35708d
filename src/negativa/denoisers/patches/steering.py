"""Cross-attention that is moved away from what other conditions make of the same picture."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain, zip_longest
from typing import ClassVar

import torch
from diffusers.models.attention_processor import Attention
from torch import Tensor

from negativa.denoisers.patches.attention import project
from negativa.denoisers.patches.call import Call, Said
from negativa.denoisers.patches.places import Company, Place
from negativa.denoisers.patches.seeing import outcome, sights


class Steering(ABC):
    """A patch whose `steer` is all that differs from rule to rule."""

    place: ClassVar[Place] = "cross-attention"
    where: ClassVar[str] = ""

    @abstractmethod
    def steer(self, z: Tensor, others: Tensor, weights: Tensor) -> Tensor:
        """The outcome to go on with, float32.

        `z` (rows, positions, width) is the outcome under the pass's own condition, `others` (conditions, rows,
        positions, width) are those under the others, `weights` is (conditions, rows, 1, 1).
        """

    def change(self, company: Company) -> Callable[..., Tensor]:
        weights = company.weights[:, :, None, None].float()
        reads = [(company.own, sights(company.pictures))]
        reads += zip_longest(company.others, map(sights, company.shown), fillvalue=())

        def processor(attn: Attention, hidden_states: Tensor) -> Tensor:
            q = attn.to_q(hidden_states)
            z, *away = (outcome(attn, q, *read).float() for read in reads)
            return project(attn, self.steer(z, torch.stack(away), weights).to(q.dtype))

        return processor

    def join(self, call: Call, others: Sequence[Sequence[Said]], weights: Tensor) -> None:
        call.texts = [*chain.from_iterable(others)]
        call.steer = partial(self.steer, weights=weights[:, :, None, None])
