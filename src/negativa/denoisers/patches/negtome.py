"""Negative token merging, after a block: every position moves away from the position most like it under a negative.

    h = h + a sum_i w_i (h - r_i)        where cos(h, r_i) > threshold

r_i is, among the positions of the network under a negative of weight w_i, the one whose cosine with h is largest; a is the
`push`. Singh et al. 2024, arXiv 2412.01339, whose r are of another picture; here it is the same picture under other words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import normalize

from negativa.denoisers.patches.call import Call, Said
from negativa.denoisers.patches.places import Company, Place


@dataclass(frozen=True)
class Merged:
    push: float
    threshold: float

    place: ClassVar[Place] = "block"
    where: ClassVar[str] = "up_blocks"

    def change(self, company: Company) -> Callable[..., Tensor]:
        return lambda given, out: self._moved(out, company.weights)

    def join(self, call: Call, others: Sequence[Sequence[Said]], weights: Tensor) -> None:
        call.texts, call.copied = [*chain.from_iterable(others)], True
        call.change = partial(self._moved, weights=weights)

    def _moved(self, out: Tensor, weights: Tensor) -> Tensor:
        own, *references = out.split(weights.shape[1])  # the rows themselves, then those of each negative
        moved = own.float()
        for reference, weight in zip(references, weights, strict=True):
            moved = moved + self.push * weight[:, None, None] * away(own.float(), reference.float(), self.threshold)
        return torch.cat([moved.to(out.dtype), *references])


def away(own: Tensor, reference: Tensor, threshold: float) -> Tensor:
    """From the most similar position of `reference` to each of `own`, 0 where none is similar; (rows, positions, width)."""
    alike = normalize(own, dim=-1) @ normalize(reference, dim=-1).mT  # rows, own positions, positions of the reference
    closest, index = alike.max(-1)
    matched = reference.gather(1, index[..., None].expand_as(own))
    return (own - matched) * (closest > threshold)[..., None]
