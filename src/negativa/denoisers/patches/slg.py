"""Skipped layers, in the middle of the network: its transformer blocks leave what they are given as it is.

Stability AI's skip layer guidance for Stable Diffusion 3.5 (2024), brought from transformers to the U-Net; which blocks are
skipped there is our reading.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from negativa.denoisers.patches.call import Call, Said
from negativa.denoisers.patches.places import Company, Place


@dataclass(frozen=True)
class Skipped:
    place: ClassVar[Place] = "block"
    where: ClassVar[str] = "mid_block"

    def change(self, company: Company) -> Callable[..., Tensor]:
        return lambda given, out: given

    def join(self, call: Call, others: Sequence[Sequence[Said]], weights: Tensor) -> None:
        call.skipped = True
