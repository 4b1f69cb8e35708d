"""Doubling a picture by nearest neighbours and convolving it, as one transposed convolution.

In a doubled picture every pixel stands four times, so that the 9 numbers that a kernel 3 wide reads are at most 4 different
ones. A kernel 4 wide with a stride of 2, whose weights are sums of the other's, needs 4 products for a number where there
were 9, and no doubled picture in between. It is an identity: what comes out is the same but for rounding.
"""

from __future__ import annotations

import torch
from diffusers.models.upsampling import Upsample2D
from torch import nn
from torch.nn import functional


@torch.no_grad()
def transpose_upsampling(network: nn.Module) -> None:
    """Let the upsampling layers in a network of diffusers, on the processor, do both in one where their kernels are 3 wide."""
    for layer in network.modules():
        if isinstance(layer, Upsample2D) and not layer.use_conv_transpose and _is_plain(layer.conv):
            layer.conv, layer.use_conv_transpose = _transposed(layer.conv), True


def _is_plain(layer: nn.Module | None) -> bool:
    return isinstance(layer, nn.Conv2d) and (layer.kernel_size, layer.padding) == ((3, 3), (1, 1))


def _transposed(layer: nn.Conv2d) -> nn.ConvTranspose2d:
    """The layer that makes of a picture what `layer` makes of it doubled."""
    made = nn.ConvTranspose2d(layer.in_channels, layer.out_channels, 4, 2, 1, dtype=layer.weight.dtype)
    four = torch.ones(1, 1, 2, 2)  # a pixel of the original, where it stands in the doubled picture
    kernels = functional.conv2d(layer.weight.float().flip(2, 3).flatten(0, 1)[:, None], four, padding=1)
    made.weight.copy_(kernels.unflatten(0, layer.weight.shape[:2])[:, :, 0].transpose(0, 1))
    made.bias = layer.bias
    return made.requires_grad_(False)
