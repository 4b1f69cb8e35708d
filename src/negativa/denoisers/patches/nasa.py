"""Negative-away steer attention, inside attention: what the negatives see is taken off.

    out = Z - a sum_i w_i Z_i

Z is the outcome under the prompt, Z_i under a negative of weight w_i, a the `push`. Nguyen et al. 2024, arXiv 2412.02687.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from negativa.denoisers.patches.steering import Steering


@dataclass(frozen=True)
class Subtracted(Steering):
    push: float

    def steer(self, z: Tensor, others: Tensor, weights: Tensor) -> Tensor:
        return z - self.push * (weights * others).sum(0)
