"""Noise comes from the seed alone: one generator for each image, on the CPU whatever the device."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def stream(seed: int) -> torch.Generator:
    """The stream of chance of one image; start noise is its first draw, step noise the following ones."""
    import torch

    return torch.Generator("cpu").manual_seed(seed)


def start(generator: torch.Generator, shape: tuple[int, int, int]) -> torch.Tensor:
    """Unit normal noise, (1, channels, height, width), float32; the draw a diffusers pipeline makes."""
    import torch

    return torch.randn((1, *shape), generator=generator)


def brownian_seed(generator: torch.Generator) -> int:
    """A seed, drawn from the stream, for a sampler that brings its own source of step noise."""
    import torch

    return int(torch.randint(0, 2**63 - 1, (), generator=generator))
