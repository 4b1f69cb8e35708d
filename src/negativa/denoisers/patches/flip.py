"""Value sign flip, inside attention: tokens are read together with the prompt's, their values turned around.

    out = softmax(Q [K ; K_i]^T / sqrt(d) + [0 ; -beta]) [V ; -a w_i V_i]

K_i, V_i are of the words of a negative of weight w_i alone, without start, end and padding; a is the `strength`, beta the
`offset`. Guo & Du 2025, arXiv 2508.10931. With a 1 and beta 0 it is how the extension NegPiP reads words of weights below
zero; there the weight multiplies the embedding, here the value alone. The pictures of a negative are turned around
too, among those that the pass sees itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from diffusers.models.attention_processor import Attention
from torch import Tensor
from torch.nn.functional import pad
from torch.nn.utils.rnn import pad_sequence

from negativa.denoisers.patches.attention import attend, project
from negativa.denoisers.patches.call import Call, Said
from negativa.denoisers.patches.places import Company, Place
from negativa.denoisers.patches.seeing import Picture, seeing, sights


@dataclass(frozen=True)
class Flip:
    strength: float
    offset: float

    place: ClassVar[Place] = "cross-attention"
    where: ClassVar[str] = ""

    def change(self, company: Company) -> Callable[..., Tensor]:
        seen = sights(self._turned(company.pictures, company.shown, company.weights))
        words, factor, bias = self.words(company.words, company.weights.T)

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

    def join(self, call: Call, others: Sequence[Sequence[Said]], weights: Tensor) -> None:
        call.flipped = self.words([[one.encoding.words for one in row] for row in zip(*others, strict=True)], weights.T)
        shown = [[one.pictures for one in column] for column in others]
        seen = self._turned([one.pictures for one in call.own], shown, weights)
        call.own = [one._replace(pictures=pictures) for one, pictures in zip(call.own, seen, strict=True)]

    def words(self, said: Sequence[Sequence[Tensor]], weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """For each row what is said of the words of every negative, filled up to the longest: (rows, tokens, width).

        And what multiplies their values, (rows, tokens, 1), and what is added to their logits, (rows, tokens), -inf where
        nothing is said. `weights` are (rows, negatives).
        """
        rows = [torch.cat(list(words)) for words in said]
        shares = [
            torch.cat([w.expand(len(one)) for w, one in zip(*both, strict=True)]) for both in zip(weights, said, strict=True)
        ]
        offsets = [torch.full((len(one),), -self.offset, device=one.device) for one in rows]
        factor = -self.strength * pad_sequence(shares, batch_first=True)[..., None]
        return pad_sequence(rows, batch_first=True), factor, pad_sequence(offsets, batch_first=True, padding_value=-torch.inf)

    def _turned(
        self, own: Sequence[Sequence[Picture]], others: Sequence[Sequence[Sequence[Picture]]], weights: Tensor
    ) -> list[list[Picture]]:
        """What each row sees, with the pictures of the negatives turned around."""
        rows = [list(row) for row in own]
        for shown, column in zip(others, weights, strict=bool(others)):
            for row, pictures, weight in zip(rows, shown, column.tolist(), strict=False):  # references follow the rows
                row += [replace(p, sign=-self.strength * weight, offset=-self.offset) for p in pictures if not p.blank]
        return rows
