"""What pictures add to joint attention, through the adapters that Stable Diffusion 3 and Flux have.

    Stable Diffusion 3    Z + w softmax(Q' [K' ; K_a]^T / sqrt(d)) [V ; s V_a]       before the output projection
    Flux                  h + w softmax(Q K_a^T / sqrt(d)) s V_a                     after the block

K_a, V_a are of the tokens of all pictures that an adapter reads, which the weights below the largest, w, are added to in the
logits (see `seeing`), s usually 1; Q', K' those of the picture that is drawn under norms of the adapter's own, Q before it is
turned by its place, h what the block makes of the picture. As in diffusers, for InstantX's and XLabs' adapters; Ye et al. 2023,
arXiv 2308.06721, equation 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from negativa.denoisers.adapters import JointAdapter
from negativa.denoisers.patches.attention import attend, flat, heads
from negativa.denoisers.patches.seeing import Picture, Sight, sights


@dataclass(frozen=True, eq=False)
class JointSight:
    """What some rows of a call see through one adapter; `said` (rows, width) is of the time, where that matters."""

    adapter: JointAdapter
    sight: Sight
    said: Tensor | None

    def __call__(self, attn: Any, raw: Sequence[Tensor]) -> Tensor:
        """What is added to each of its rows.

        `raw` are queries, keys and values of the picture that is drawn, (rows, heads, positions, width of a head), as the
        projections give them; there may be fewer rows, which are those of row after row in turn.
        """
        one, layer = self.sight, self.adapter.layers[attn]
        q, k, v = (each[one.rows % len(each)] for each in raw)
        signs = 1.0 if one.signs is None else one.signs[:, None, :, None]
        if self.said is None:
            q, k, v = attn.norm_q(q), heads(attn, layer.to_k_ip[0](one.tokens)), heads(attn, layer.to_v_ip[0](one.tokens))
            bias, v = one.bias, v * signs
        else:
            tokens = layer.norm_ip(one.tokens, temb=self.said)
            shown = layer.norm_ip_k(heads(attn, layer.to_k_ip(tokens))), heads(attn, layer.to_v_ip(tokens)) * signs
            bias = None if one.bias is None else pad(one.bias, (k.shape[2], 0))
            q, k, v = layer.norm_q(q), torch.cat([layer.norm_k(k), shown[0]], 2), torch.cat([v, shown[1]], 2)
        return one.weights * attend(attn, *map(flat, (q, k, v)), bias)


def joint_sights(rows: Sequence[Sequence[Picture]], times: Tensor) -> list[JointSight]:
    """The pictures of the rows of a call, adapter by adapter, at the times of the rows (rows,)."""
    found: list[JointSight] = []
    seen: dict[tuple[int, float], tuple[Tensor, Tensor]] = {}  # of every picture and time, made once

    def at(adapter: JointAdapter, one: Picture, time: Tensor) -> tuple[Tensor, Tensor]:
        key = id(one.tokens), float(time)
        return seen[key] if key in seen else seen.setdefault(key, adapter.at(one.tokens, time))

    for adapter in dict.fromkeys(one.adapter for row in rows for one in row):
        mine = [[one for one in row if one.adapter is adapter] for row in rows]
        said = None
        if adapter.timed:
            now = [[at(adapter, one, time) for one in row] for row, time in zip(mine, times, strict=True)]
            said = torch.stack([row[0][1] for row in now if row])
            mine = [[replace(one, tokens=t) for one, (t, _) in zip(*both, strict=True)] for both in zip(mine, now, strict=True)]
        (sight,) = sights(mine)
        found.append(JointSight(adapter, sight, said))
    return found
