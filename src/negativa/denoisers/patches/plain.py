"""Cross-attention as the network has it, for calls in which no patch of a rule changes it: words, and pictures beside them.

Rows that are told the same words share their keys and values; see `seeing` for the pictures.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from diffusers.models.attention_processor import Attention
from torch import Tensor

from negativa.denoisers.patches.attention import attend, project
from negativa.denoisers.patches.places import Company, Place
from negativa.denoisers.patches.seeing import seeing, sights


@dataclass(frozen=True)
class Plain:
    """Reads distinct states; `reads` of the company says which of them a row reads."""

    place: ClassVar[Place] = "cross-attention"
    where: ClassVar[str] = ""

    def change(self, company: Company) -> Callable[..., Tensor]:
        seen, reads = sights(company.pictures), company.reads

        def processor(attn: Attention, hidden_states: Tensor, encoder_hidden_states: Tensor, *_: Any, **__: Any) -> Tensor:
            q = attn.to_q(hidden_states)
            k, v = (layer(encoder_hidden_states).index_select(0, reads) for layer in (attn.to_k, attn.to_v))
            return project(attn, seeing(attn, q, attend(attn, q, k, v), seen))

        return processor
