"""What is made once and kept for as long as there is room."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from torch import Tensor

V = TypeVar("V")


class Kept(Generic[V]):
    """Values by key, made when they are first asked for.

    Those that were asked for longest ago are dropped while all of them take more than `most` bytes, the last `least` never;
    room for another is made before it is.
    """

    def __init__(self, most: int, size: Callable[[V], int], least: int = 1) -> None:
        self._most, self._size, self._least = most, size, least
        self._values: dict[Hashable, V] = {}
        self._bytes = 0

    def get(self, key: Hashable, make: Callable[[], V]) -> V:
        if key in self._values:
            self._values[key] = self._values.pop(key)
            return self._values[key]
        self._drop(self._least - 1)
        self._values[key] = made = make()
        self._bytes += self._size(made)
        self._drop(self._least)
        return made

    def clear(self) -> None:
        """Drop all of them."""
        self._values.clear()
        self._bytes = 0

    def _drop(self, least: int) -> None:
        while self._bytes > self._most and len(self._values) > least:
            self._bytes -= self._size(self._values.pop(next(iter(self._values))))


def bytes_of(*tensors: Tensor) -> int:
    """How much memory tensors take."""
    return sum(one.numel() * one.element_size() for one in tensors)
