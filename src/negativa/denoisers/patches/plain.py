"""Cross-attention as the network has it, with pictures beside the words; for calls in which no rule changes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from diffusers.models.attention_processor import Attention
from torch import Tensor

from negativa.denoisers.patches.attention import project
from negativa.denoisers.patches.places import Company, Place
from negativa.denoisers.patches.seeing import outcome, sights


@dataclass(frozen=True)
class Plain:
    place: ClassVar[Place] = "cross-attention"
    where: ClassVar[str] = ""

    def change(self, company: Company) -> Callable[..., Tensor]:
        seen = sights(company.pictures)

        def processor(attn: Attention, hidden_states: Tensor) -> Tensor:
            return project(attn, outcome(attn, attn.to_q(hidden_states), company.own, seen))

        return processor
