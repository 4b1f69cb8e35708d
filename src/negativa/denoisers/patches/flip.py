"""Value sign flip, inside cross-attention: tokens are read together with the prompt's, their values turned around.

    out = softmax(Q [K ; K_i]^T / sqrt(d) + [0 ; -beta]) [V ; -a w_i V_i]

K_i, V_i are of the words of a negative of weight w_i alone, without start, end and padding; a is the `strength`, beta the
`offset`. Guo & Du 2025, arXiv 2508.10931. With a 1 and beta 0 it is how the extension NegPiP reads words of weights below
zero; there the weight multiplies the embedding, here the value alone. The pictures of a negative are turned around
too, among those that the pass sees itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from diffusers.models.attention_processor import Attention
from torch import Tensor
from torch.nn.functional import pad
from torch.nn.utils.rnn import pad_sequence

from negativa.denoisers.patches.attention import attend, project
from negativa.denoisers.patches.places import Company, Place
from negativa.denoisers.patches.seeing import Picture, seeing, sights


@dataclass(frozen=True)
class Flip:
    strength: float
    offset: float

    place: ClassVar[Place] = "cross-attention"
    where: ClassVar[str] = ""

    def change(self, company: Company) -> Callable[..., Tensor]:
        rows = [torch.cat(list(words)) for words in company.words]
        weights = [
            torch.cat([weight.expand(len(one)) for weight, one in zip(row, words, strict=True)])
            for row, words in zip(company.weights.T, company.words, strict=True)
        ]
        seen = sights(self._turned(company))
        words = pad_sequence(rows, batch_first=True)  # rows, tokens, width
        factor = -self.strength * pad_sequence(weights, batch_first=True)[..., None]
        bias = pad_sequence([torch.full((len(one),), -self.offset, device=one.device) for one in rows], True, float("-inf"))

        def processor(attn: Attention, hidden_states: Tensor) -> Tensor:
            q, read = attn.to_q(hidden_states), company.own.keys_and_values(attn)
            k, v = (
                torch.cat([own[: len(words)], layer(words) * share], 1)
                for own, layer, share in zip(read, (attn.to_k, attn.to_v), (1, factor.to(words.dtype)), strict=True)
            )
            open_ = pad(bias, (k.shape[1] - bias.shape[1], 0))
            z = attend(attn, q[: len(words)], k, v, open_)
            if len(q) > len(words):  # references, which turn nothing around
                z = torch.cat([z, attend(attn, q[len(words) :], *(own[len(words) :] for own in read))])
            return project(attn, seeing(attn, q, z, seen))

        return processor

    def _turned(self, company: Company) -> list[list[Picture]]:
        """What each row sees, with the pictures of the negatives turned around."""
        rows = [list(row) for row in company.pictures]
        for shown, weights in zip(company.shown, company.weights, strict=bool(company.shown)):
            for row, pictures, weight in zip(rows, shown, weights.tolist(), strict=False):  # references follow the rows
                row += [replace(p, sign=-self.strength * weight, offset=-self.offset) for p in pictures if not p.blank]
        return rows
