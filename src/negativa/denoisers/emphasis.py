"""What the weights of words do to what an encoder says of them.

    original    w z, then all is scaled so that its mean is what it was without weights
    no-norm     w z
    comfy       e + w (z - e), where e is what the encoder says at that place of the empty text

z is what the encoder says of a token, w the token's weight. The first two are those of AUTOMATIC1111's web UI, the third is
ComfyUI's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import torch
from torch import Tensor

from negativa.plain.conditions import Emphasis

ROUNDING: Final = 1e-6  # a mean that is no more than this share of the mean size is none, but an error of the sum


def weighed(z: Tensor, weights: Sequence[float], emphasis: Emphasis, empty: Callable[[], Tensor]) -> Tensor:
    """`z` (tokens, width) with a weight for each of its first tokens, 1 for the others; itself if all are 1."""
    if all(weight == 1 for weight in weights):
        return z
    w = torch.ones(len(z), 1, dtype=z.dtype, device=z.device)
    w[: len(weights), 0] = torch.tensor(weights, dtype=z.dtype)
    if emphasis == "comfy":
        e = empty()
        return e + w * (z - e)
    weighted = w * z
    before, after = z.float().mean(), weighted.float().mean()
    rounding = max(ROUNDING, 4 * torch.finfo(z.dtype).eps / z.numel() ** 0.5)  # the sum's, or half precision's
    restored = emphasis == "original" and min(before.abs(), after.abs()) > rounding * weighted.float().abs().mean()
    return weighted * (before / after).to(z.dtype) if restored else weighted
