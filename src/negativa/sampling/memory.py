"""Whether an error says that the device has no memory left, and for what size of picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from torch import Tensor

WORDS: Final = ("out of memory", "not enough memory", "can't allocate memory")  # of allocators that have no error of their own


def is_short(error: RuntimeError) -> bool:
    """Of torch's errors those about memory: CUDA's class, and what the allocators of other devices say."""
    import torch

    return isinstance(error, torch.OutOfMemoryError) or any(words in str(error).lower() for words in WORDS)


def size_of(latents: Tensor) -> str:
    """Width and height of latents (channels, height, width), as errors name them: "64x48"."""
    return "x".join(map(str, latents.shape[:0:-1]))
