"""Normalized attention guidance, inside attention: pushed, bounded, blended.

    Zt = Z + phi sum_i w_i (Z - Z_i)
    Zh = Zt min(R, tau) / R,      R = |Zt|_1 / |Z|_1 at each position
    out = alpha Zh + (1 - alpha) Z

Z is the outcome under the prompt, Z_i under a negative of weight w_i; phi is the `push`, tau the `limit`, alpha the `blend`.
Chen et al. 2025, arXiv 2505.21179, equations 7 to 10; several negatives are ours.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from negativa.denoisers.patches.steering import Steering


@dataclass(frozen=True)
class Normalized(Steering):
    push: float
    limit: float
    blend: float

    def steer(self, z: Tensor, others: Tensor, weights: Tensor) -> Tensor:
        pushed = z + self.push * (weights * (z - others)).sum(0)
        ratio = pushed.norm(p=1, dim=-1, keepdim=True) / z.norm(p=1, dim=-1, keepdim=True).clamp(min=1e-6)
        return self.blend * pushed * (self.limit / ratio.clamp(min=1e-6)).clamp(max=1.0) + (1 - self.blend) * z
