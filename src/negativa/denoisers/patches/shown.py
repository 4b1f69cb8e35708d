"""Pictures beside the words, where no other patch changes what cross-attention reads; see `seeing`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from diffusers.models.attention_processor import Attention
from torch import Tensor

from negativa.denoisers.patches.attention import project
from negativa.denoisers.patches.places import Company, Place
from negativa.denoisers.patches.seeing import outcome, sights


@dataclass(frozen=True)
class Pictured:
    place: ClassVar[Place] = "cross-attention"
    where: ClassVar[str] = ""

    def change(self, company: Company) -> Callable[..., Tensor]:
        own = sights(company.pictures)

        def processor(attn: Attention, hidden_states: Tensor, encoder_hidden_states: Tensor, *_: Any, **__: Any) -> Tensor:
            return project(attn, outcome(attn, attn.to_q(hidden_states), encoder_hidden_states, own))

        return processor
