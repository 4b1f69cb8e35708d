"""What cross-attention reads out of a condition: its words, and its pictures through the keys and values of their adapters.

    Z = softmax(Q K^T / sqrt(d)) V + sum_a w_a softmax(Q K_a^T / sqrt(d) + log(w / w_a)) s V_a

K, V are of the words; K_a, V_a of the tokens of all pictures that adapter a reads, w the weight of the picture that a token is
of, w_a the largest of them, s usually 1. One picture is read as in Ye et al. 2023, arXiv 2308.06721, equation 5, where w_a is
the scale; several of one weight are read together, as in diffusers; and one whose weight goes to 0 goes out of sight.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Final

import torch
from diffusers.models.attention_processor import Attention
from torch import Tensor
from torch.nn.functional import linear
from torch.nn.utils.rnn import pad_sequence

from negativa.denoisers.adapters import Adapter, JointAdapter
from negativa.denoisers.kept import Kept, bytes_of
from negativa.denoisers.patches.attention import attend

KEPT: Final = 2**28  # bytes of keys and values that are kept


class Read:
    """K and V of texts, which are the same at every step, by layer and by what acts on it (LoRAs).

    A text is known by its tensor. The network's own weights stand still: one that is trained is a copy.
    """

    def __init__(self) -> None:
        self._kept = Kept[tuple[Tensor, Tensor, Tensor]](KEPT, lambda one: bytes_of(*one[1:]))

    def __call__(self, attn: Attention, states: Tensor, acting: Hashable) -> tuple[Tensor, Tensor]:
        """K and V of `states` (tokens, width)."""
        key = id(states), attn, acting  # a tensor that is kept with what was made of it, so that no other gets its id
        return self._kept.get(key, lambda: (states, attn.to_k(states), attn.to_v(states)))[1:]


@dataclass(frozen=True, eq=False)
class Told:
    """What rows are told in words, (tokens, width) each; those of one and the same tensor share what is `read` of it.

    `acting` is what changes the layers now.
    """

    rows: Sequence[Tensor]
    read: Read = field(default_factory=Read)
    acting: Hashable = ()

    def keys_and_values(self, attn: Attention) -> tuple[Tensor, Tensor]:
        """K and V of each row, (rows, tokens, width), computed once for each text."""
        each = {id(one): self.read(attn, one, self.acting) for one in {id(one): one for one in self.rows}.values()}
        k, v = zip(*(each[id(one)] for one in self.rows), strict=True)
        return torch.stack(k), torch.stack(v)


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture, or what stands for none (`blank`), as an adapter sees it: tokens (tokens, width), and its weight, above 0.

    `sign` multiplies its values (s), `offset` is added to its logits.
    """

    adapter: Adapter | JointAdapter
    tokens: Tensor
    weight: float
    blank: bool = False
    sign: float = 1.0
    offset: float = 0.0


@dataclass(frozen=True, eq=False)
class Sight:
    """What some `rows` of a call see through one adapter, filled up to the longest.

    `tokens` (rows, tokens, width), `weights` (rows, 1, 1) are w_a; `bias`, `signs` (rows, tokens), None if they do nothing.
    """

    adapter: Adapter | JointAdapter
    rows: Tensor
    tokens: Tensor
    weights: Tensor
    bias: Tensor | None
    signs: Tensor | None

    def __call__(self, attn: Attention, q: Tensor) -> Tensor:
        """What the adapter adds to each of its rows, before the output projection."""
        to_k, to_v = self.adapter.layers[attn]
        v = linear(self.tokens, to_v)
        v = v if self.signs is None else v * self.signs[..., None]
        return self.weights * attend(attn, q[self.rows], linear(self.tokens, to_k), v, self.bias)


def sights(rows: Sequence[Sequence[Picture]]) -> list[Sight]:
    """The pictures of the rows of a call, adapter by adapter."""
    return [_sight(adapter, rows) for adapter in dict.fromkeys(one.adapter for row in rows for one in row)]


def outcome(attn: Attention, q: Tensor, told: Told, seen: Sequence[Sight]) -> Tensor:
    """Z before the output projection, (rows, positions, width), of rows that are told something, and see something."""
    return seeing(attn, q, attend(attn, q, *told.keys_and_values(attn)), seen)


def seeing(attn: Attention, q: Tensor, z: Tensor, seen: Sequence[Sight]) -> Tensor:
    """What was read of the words, with what is seen of the pictures; rows without one stay as they are, bit for bit."""
    for sight in seen:
        z = z.index_add(0, sight.rows, sight(attn, q))
    return z


def _sight(adapter: Adapter, rows: Sequence[Sequence[Picture]]) -> Sight:
    mine = {i: found for i, row in enumerate(rows) if (found := [one for one in row if one.adapter is adapter])}
    largest = {i: max(one.weight for one in row) for i, row in mine.items()}
    like = next(iter(mine.values()))[0].tokens

    def filled(number: Callable[[int, Picture], float], rest: float) -> Tensor:
        each = [torch.cat([like.new_full((len(one.tokens),), number(i, one)) for one in row]) for i, row in mine.items()]
        return pad_sequence(each, batch_first=True, padding_value=rest)

    bias = filled(lambda i, one: math.log(one.weight / largest[i]) + one.offset, -math.inf)
    signs = filled(lambda _, one: one.sign, 1.0)
    return Sight(
        adapter=adapter,
        rows=torch.tensor(list(mine), device=like.device),
        tokens=pad_sequence([torch.cat([one.tokens for one in row]) for row in mine.values()], batch_first=True),
        weights=like.new_tensor(list(largest.values()))[:, None, None],
        bias=bias if bias.any() else None,
        signs=None if bool((signs == 1).all()) else signs,
    )
