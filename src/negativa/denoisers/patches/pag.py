"""Perturbed attention, in the middle of the network: every position sees itself alone.

    out = V        in the place of softmax(Q K^T / sqrt(d)) V

In joint attention it sees the text as well. Ahn et al. 2024, arXiv 2403.17377.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from diffusers.models.attention_processor import Attention
from torch import Tensor

from negativa.denoisers.patches.attention import project
from negativa.denoisers.patches.call import Call, Said
from negativa.denoisers.patches.places import Company, Place


@dataclass(frozen=True)
class Perturbed:
    place: ClassVar[Place] = "self-attention"
    where: ClassVar[str] = "mid_block"

    def change(self, company: Company) -> Callable[..., Tensor]:
        def processor(attn: Attention, hidden_states: Tensor) -> Tensor:
            return project(attn, attn.to_v(hidden_states))

        return processor

    def join(self, call: Call, others: Sequence[Sequence[Said]], weights: Tensor) -> None:
        call.perturbed = True
