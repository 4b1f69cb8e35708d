"""Whether an error says that the device has no memory left."""

from __future__ import annotations


def is_short(error: RuntimeError) -> bool:
    """Of torch's errors those about memory; the CPU's allocator has no class of its own."""
    import torch

    words = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError) or "not enough memory" in words or "can't allocate memory" in words
