"""Conditions as a model's text encoders read them, with embeddings in the place of their words."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass, field, replace
from typing import Final, Self

from transformers import CLIPTokenizer

from negativa.denoisers.embeddings import Shelf
from negativa.denoisers.encoding import Encoding, Texts
from negativa.denoisers.kept import Kept, bytes_of
from negativa.plain.conditions import Condition, Nothing, Words, text_of

TOKEN: Final = re.compile(r"<[^<>\s]+>")  # as learned tokens are written
KEPT: Final = 2**28  # bytes of encodings that are kept


@dataclass(kw_only=True)
class Reading(ABC):
    """The half of a `Denoiser` that reads texts; each distinct one is encoded once."""

    tokenizer: CLIPTokenizer
    shelf: Shelf = field(default_factory=Shelf)
    _shelves: dict[tuple[str, ...], Shelf] = field(default_factory=dict, repr=False)

    @abstractmethod
    def read_by(self) -> Texts:
        """What reads the model's texts."""

    def __post_init__(self) -> None:
        self._texts = self.read_by()
        self._encodings = Kept[Encoding](KEPT, lambda one: bytes_of(one.states))

    def afresh(self) -> Self:
        """The same model, which has read nothing yet: for one whose encoders have learned since."""
        return replace(self)

    def refresh(self) -> None:
        stale = [own for own, shelf in self._shelves.items() if shelf.stale]
        if self.shelf.stale:
            self.shelf = Shelf(*self.shelf.places, apart=True)  # the encoder keeps the tokens that it has learned
        for own in stale:
            del self._shelves[own]
        if stale:
            self._encodings.clear()

    def chunks(self, words: Words) -> int:
        return len(self._texts.chunks(self._written(words)))

    def learned(self, words: Words) -> dict[str, str]:
        shelf = self._shelf_of(words)
        found = [one for chunk in words.stretches for text, _ in chunk for one in shelf.written(text)[1]]
        named = Counter(name for name, _ in {(one.bare, one.hash) for one in found})
        return {one.bare if named[one.bare] == 1 else one.path.stem: one.hash for one in found}

    def unread(self, words: Words) -> str:
        return self._texts.unread(self._written(words))

    def unknown(self, words: Words) -> list[str]:
        texts = [text for chunk in self._written(words) for text, _ in chunk]
        found = dict.fromkeys(token for text in texts for token in TOKEN.findall(text))
        return [token for token in found if len(self.tokenizer.tokenize(token)) > 1]

    def unreadable(self, words: Words) -> list[str]:
        shelf = self._shelf_of(words)
        return [*dict.fromkeys(why for chunk in words.stretches for text, _ in chunk for why in shelf.missing(text))]

    def _written(self, words: Words) -> list[list[tuple[str, float]]]:
        """The stretches of a text with the tokens of embeddings in the place of their words; new ones join the encoder.

        Raises `InputError` for an embedding of another family.
        """
        written: list[list[tuple[str, float]]] = []
        shelf = self._shelf_of(words)
        for chunk in words.stretches:
            parts = [(*shelf.written(text), weight) for text, weight in chunk]
            for embedding in (one for _, found, _ in parts for one in found):
                if embedding.tokens[0] not in self.tokenizer.get_added_vocab():
                    self._texts = self._texts.learning(embedding)
            written.append([(text, weight) for text, _, weight in parts])
        return written

    def _shelf_of(self, words: Words) -> Shelf:
        """The embeddings that are words of a text: its own before the model's.

        Its own have tokens that no other text can hold. Raises `InputError` for a file that cannot be read.
        """
        if words.embeddings not in self._shelves:
            own = words.embeddings
            self._shelves[own] = Shelf(*own, *self.shelf.places, apart=True) if own else self.shelf
        return self._shelves[words.embeddings]

    def _encoding(self, condition: Condition, room: int) -> Encoding:
        text = text_of(condition)
        return self._encodings.get((text, room, self._acting_on_texts()), lambda: self._encode(text, room))

    def _acting_on_texts(self) -> Hashable:
        """What changes the encoders now."""
        return ()

    def _encode(self, text: Words | Nothing, room: int) -> Encoding:
        match text:
            case Words():
                return self._texts.encoding(self._written(text), text.emphasis, room)
            case Nothing(kind):
                empty = self._texts.encoding([], "original", room)
                return {"empty": empty, "dropped": empty.dropped(), "zeros": empty.zeros()}[kind]
        raise TypeError(text)
