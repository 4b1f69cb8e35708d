"""Orthogonal negative guidance, inside attention: only what the prompt does not see too is taken off.

    out = Z - lambda sum_i w_i (Z_i - proj_Z Z_i)

Z is the outcome under the prompt, Z_i under a negative of weight w_i, lambda the `push`; projected at each position. Ko et al.
2026, arXiv 2605.29390, of which the abstract alone was at hand: where to project is our reading.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from negativa.denoisers.patches.steering import Steering


@dataclass(frozen=True)
class Orthogonal(Steering):
    push: float

    def steer(self, z: Tensor, others: Tensor, weights: Tensor) -> Tensor:
        along = (others * z).sum(-1, keepdim=True) / (z * z).sum(-1, keepdim=True).clamp(min=1e-12) * z
        return z - self.push * (weights * (others - along)).sum(0)
