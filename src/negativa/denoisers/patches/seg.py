"""Smoothed attention, in the middle of the network: every position asks what its neighbours ask.

    out = softmax(G Q K^T / sqrt(d)) V

G blurs the queries over the picture with a Gaussian of the width `sigma`, in positions, its weights summing to one at the
borders too; a very large one makes all queries the mean of all. Hong 2024, arXiv 2408.00760.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from diffusers.models.attention_processor import Attention
from torch import Tensor

from negativa.denoisers.patches.attention import attend, project
from negativa.denoisers.patches.places import Company, Place


@dataclass(frozen=True)
class Smoothed:
    sigma: float

    place: ClassVar[Place] = "self-attention"
    where: ClassVar[str] = "mid_block"

    def change(self, company: Company) -> Callable[..., Tensor]:
        def processor(attn: Attention, hidden_states: Tensor) -> Tensor:
            q, k, v = (layer(hidden_states) for layer in (attn.to_q, attn.to_k, attn.to_v))
            height, width = grid(q.shape[1], company.size)
            across, down = (blur(side, self.sigma).to(q) for side in (width, height))
            blurred = torch.einsum("ij,kl,rjlc->rikc", down, across, q.unflatten(1, (height, width)))
            return project(attn, attend(attn, blurred.flatten(1, 2), k, v))

        return processor


def grid(positions: int, size: tuple[int, int]) -> tuple[int, int]:
    """Height and width of the picture inside the network that has so many positions; `size` is that of the latents."""
    height, width = size
    while height * width > positions:
        height, width = (height + 1) // 2, (width + 1) // 2
    return height, width


def blur(side: int, sigma: float) -> Tensor:
    """A matrix (side, side) that blurs a line, its rows summing to one."""
    place = torch.arange(side, dtype=torch.float32)
    return (-(((place[:, None] - place) / sigma) ** 2) / 2).softmax(1)
