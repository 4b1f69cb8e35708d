"""Joint attention, where the tokens of text and picture look at each other, and what patches change there.

    Z = softmax(Q [K_text ; K_picture]^T / sqrt(d)) [V_text ; V_picture]

Z of either goes on in a stream of its own. Esser et al. 2024, arXiv 2403.03206, section 4. What patches make of Z of a picture
is their own arithmetic; here is what is read:

    steered    a picture with every text, its own and those of the negatives; each text with the picture, in its own stream
               (Chen et al. 2025, arXiv 2505.21179, section 3)
    flipped    by the picture the words of a negative too, their values turned around; by those words themselves and the
               picture; by the text none of them (Guo & Du 2025, arXiv 2508.10931)
    perturbed  by a position of the picture the text and itself alone (Ahn et al. 2024, arXiv 2403.17377)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import torch
from diffusers.models.embeddings import apply_rotary_emb
from torch import Tensor

from negativa.denoisers.patches.attention import attend, flat, heads, project
from negativa.denoisers.patches.showing import JointSight

Turns = tuple[Tensor, Tensor] | None  # cosines and sines of a token's place, (tokens, width of a head) each


class Asking(NamedTuple):
    """Queries, keys and values of tokens, (rows, tokens, width) each."""

    q: Tensor
    k: Tensor
    v: Tensor

    def cut(self, start: int, stop: int | None = None) -> Self:
        return self._make(one[:, start:stop] for one in self)


@dataclass(frozen=True, eq=False)
class Flipped:
    """Words at the end of every text: what multiplies their values, (rows, words, 1), and is added to logits, (rows, words)."""

    factor: Tensor
    bias: Tensor


@dataclass(frozen=True, eq=False)
class JointAttention:
    """What diffusers calls a processor, for its layers of both kinds: two streams, or one of text and picture on end.

    `tokens` are those of a text, and of `flipped`. Each picture has so many `texts`, its own first: the rows are those of all
    pictures, text after text. `steer` makes of what they read, (rows, positions, width), and of what they read with their other
    texts, (texts, rows, positions, width), what they go on with. `sights` are the pictures that rows see; where there is one
    stream they see none.
    """

    tokens: int
    texts: int = 1
    steer: Callable[[Tensor, Tensor], Tensor] | None = None
    flipped: Flipped | None = None
    sights: Sequence[JointSight] = ()
    perturbed: bool = False

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        image_rotary_emb: Turns = None,
    ) -> Tensor | tuple[Tensor, ...]:
        norms, raw = (attn.norm_q, attn.norm_k), _raw(attn, hidden_states, (attn.to_q, attn.to_k, attn.to_v))
        if encoder_hidden_states is None:
            both = _asking(raw, norms, image_rotary_emb)
            told, seen = self._read(attn, both.cut(0, self.tokens), both.cut(self.tokens))
            return torch.cat([told, self._steered(seen)], 1)
        ours, theirs = _turns(image_rotary_emb, self.tokens)
        added = _raw(attn, encoder_hidden_states, (attn.add_q_proj, attn.add_k_proj, attn.add_v_proj))
        text = _asking(added, (attn.norm_added_q, attn.norm_added_k), ours)
        picture = Asking(*(one.repeat(self.texts, 1, 1) for one in _asking(raw, norms, theirs)))
        told, seen = self._read(attn, text, picture)
        told = told if attn.context_pre_only else attn.to_add_out(told)
        late = bool(self.sights) and not self.sights[0].adapter.timed  # what they show is added after the block
        shown = torch.zeros_like(seen) if late else seen
        for one in self.sights:
            shown = shown.index_add(0, one.sight.rows, one(attn, raw))
        read, after = (seen, (shown,)) if late else (shown, ())
        rows = len(hidden_states)
        return project(attn, self._steered(read)[:rows]), told, *(self._steered(one)[:rows] for one in after)

    def _read(self, attn: Any, text: Asking, picture: Asking) -> tuple[Tensor, Tensor]:
        """Z of the texts, and of the pictures."""
        end = self.tokens - (self.flipped.bias.shape[1] if self.flipped else 0)
        text, words = text.cut(0, end), text.cut(end)
        k, v = (torch.cat(pair, 1) for pair in zip(text[1:], picture[1:], strict=True))
        told = attend(attn, text.q, k, v)
        bias = _alone(picture, end) if self.perturbed else None
        if self.flipped:
            told = torch.cat([told, _words(attn, words, picture, self.flipped.bias)], 1)
            bias = k.new_zeros(1, 1, k.shape[1]) if bias is None else bias
            shape = len(k), bias.shape[1], -1
            bias = torch.cat([bias.expand(shape), self.flipped.bias[:, None].expand(shape)], 2)
            k, v = torch.cat([k, words.k], 1), torch.cat([v, words.v * self.flipped.factor.to(v.dtype)], 1)
        return told, attend(attn, picture.q, k, v, bias)

    def _steered(self, seen: Tensor) -> Tensor:
        """What the pictures go on with, the same in all rows of one."""
        if self.steer is None:
            return seen
        z, *others = seen.float().unflatten(0, (self.texts, -1))
        return self.steer(z, torch.stack(others)).to(seen.dtype).repeat(self.texts, 1, 1)


def _raw(attn: Any, tokens: Tensor, layers: Sequence[Any]) -> list[Tensor]:
    """Queries, keys and values of tokens, (rows, heads, tokens, width of a head) each."""
    return [heads(attn, layer(tokens)) for layer in layers]


def _asking(raw: Sequence[Tensor], norms: Sequence[Any], turns: Turns) -> Asking:
    q, k, v = raw
    q, k = (one if norm is None else norm(one) for one, norm in zip((q, k), norms, strict=True))
    if turns:
        q, k = (apply_rotary_emb(one, turns) for one in (q, k))
    return Asking(*map(flat, (q, k, v)))


def _turns(turns: Turns, tokens: int) -> tuple[Turns, Turns]:
    """Those of the text and of the picture."""
    if turns is None:
        return None, None
    cosines, sines = turns
    return (cosines[:tokens], sines[:tokens]), (cosines[tokens:], sines[tokens:])


def _alone(picture: Asking, text: int) -> Tensor:
    """What makes a position see of its picture itself alone: added to logits, (1, positions, tokens of text and picture)."""
    positions = picture.q.shape[1]
    others = picture.q.new_full((positions, positions), -torch.inf).fill_diagonal_(0)
    return torch.cat([others.new_zeros(positions, text), others], 1)[None]


def _words(attn: Any, words: Asking, picture: Asking, bias: Tensor) -> Tensor:
    """What the words of negatives read: themselves, unless a row has none there, and the picture."""
    k, v = (torch.cat(pair, 1) for pair in zip(words[1:], picture[1:], strict=True))
    filled = torch.where(bias.isneginf(), bias, 0.0)
    return attend(attn, words.q, k, v, torch.cat([filled, filled.new_zeros(len(k), picture.q.shape[1])], 1))
