"""Attention, computed once for every patch that changes it; the network's own weights, no weights of ours.

    Z = softmax(Q K^T / sqrt(d) + bias) V

Vaswani et al. 2017, arXiv 1706.03762, equation 1, many heads side by side.
"""

from __future__ import annotations

from diffusers.models.attention_processor import Attention
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention


def attend(attn: Attention, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
    """Z before the output projection, (rows, positions, width).

    `q` (rows, positions, width), `k` and `v` (rows, tokens, width) as the layer's projections give them; `bias`, (rows,
    tokens) or (rows, positions, tokens), is added to the logits.
    """
    q, k, v = (heads(attn, x) for x in (q, k, v))
    mask = None if bias is None else bias.reshape(len(bias), 1, -1, bias.shape[-1]).to(q.dtype)  # for all heads
    return flat(scaled_dot_product_attention(q, k, v, attn_mask=mask))


def heads(attn: Attention, tokens: Tensor) -> Tensor:
    """What each head has of tokens, (rows, tokens, width): (rows, heads, tokens, width of a head)."""
    return tokens.unflatten(-1, (attn.heads, -1)).transpose(1, 2)


def flat(each: Tensor) -> Tensor:
    """The inverse of `heads`."""
    return each.transpose(1, 2).flatten(2)


def project(attn: Attention, z: Tensor) -> Tensor:
    """The layer's output projection."""
    return attn.to_out[1](attn.to_out[0](z))
