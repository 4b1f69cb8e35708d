"""Cross-attention that is moved away from what other conditions make of the same picture."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from diffusers.models.attention_processor import Attention
from torch import Tensor

from negativa.denoisers.patches.attention import attend, project
from negativa.denoisers.patches.places import Company, Place


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

        def processor(attn: Attention, hidden_states: Tensor, encoder_hidden_states: Tensor, *_: Any, **__: Any) -> Tensor:
            q = attn.to_q(hidden_states)
            read = (encoder_hidden_states, *company.states)
            z, *others = (attend(attn, q, attn.to_k(one), attn.to_v(one)).float() for one in read)
            return project(attn, self.steer(z, torch.stack(others), weights).to(q.dtype))

        return processor
