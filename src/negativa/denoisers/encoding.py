"""What is said of a text, and what a model family needs of those who say it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor

from negativa.denoisers.embeddings import Embedding
from negativa.plain.conditions import Emphasis

Part = tuple[str, float]  # a stretch of text and its weight
Unit = list[tuple[int, float]]  # tokens that stay together, each with its weight


@dataclass(frozen=True, eq=False)
class Encoding:
    """What is said of a text: `states` (tokens, width), and by some `pooled` (width,), of its first chunk as a whole.

    `of_words` gives `words`, when they are first asked for.
    """

    states: Tensor
    pooled: Tensor | None = None
    of_words: Callable[[], Tensor] | None = None

    @cached_property
    def words(self) -> Tensor:
        """What is said of the words themselves, (tokens, width): without the start, the end and what fills up."""
        if self.of_words is None:
            raise TypeError("the text was read as a whole")
        return self.of_words()

    def zeros(self) -> Encoding:
        """Zeros in the place of all that is said."""
        pooled = None if self.pooled is None else torch.zeros_like(self.pooled)
        return replace(self, states=torch.zeros_like(self.states), pooled=pooled)

    def dropped(self) -> Encoding:
        """The start token alone; as a whole nothing was read, which is zeros."""
        return replace(self.zeros(), states=self.states[:1].expand_as(self.states).contiguous())


class Texts(Protocol):
    """What reads texts of any length; see `ClipTexts`."""

    def chunks(self, stretches: Sequence[Sequence[Part]]) -> list[Unit]: ...

    def encoding(self, stretches: Sequence[Sequence[Part]], emphasis: Emphasis, room: int) -> Encoding: ...

    def unread(self, stretches: Sequence[Sequence[Part]]) -> str: ...

    def learning(self, embedding: Embedding) -> Texts: ...
