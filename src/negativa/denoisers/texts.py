"""Texts as CLIP reads them: weighted tokens in chunks of the encoder's own length.

A text is cut into chunks of 75 tokens, each between a start and an end token and filled up, so that none of it is lost; a cut
moves back to a comma that is near, and never parts the vectors of one learned word. Weights act chunk by chunk on the encoder's
last hidden state, or the one before it (`weighed`); what is pooled has none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import torch
from torch import Tensor
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from negativa.denoisers.embeddings import Embedding, merge
from negativa.denoisers.emphasis import weighed
from negativa.denoisers.encoding import Encoding, Part, Unit
from negativa.plain.conditions import Emphasis

COMMA_WITHIN: Final = 20  # tokens that a cut may move back to a comma
MOST: Final = 16  # chunks of a text


@dataclass(frozen=True)
class ClipTexts:
    """A tokenizer and its encoder, reading texts of any length; `penultimate` reads the state before the last."""

    tokenizer: CLIPTokenizer
    encoder: CLIPTextModel | CLIPTextModelWithProjection
    penultimate: bool = False

    def chunks(self, stretches: Sequence[Sequence[Part]]) -> list[Unit]:
        """The tokens of a text, chunk after chunk, from one to `MOST`; every stretch begins a chunk of its own."""
        return self._all(stretches)[:MOST]

    def encoding(self, stretches: Sequence[Sequence[Part]], emphasis: Emphasis, room: int) -> Encoding:
        """What the encoder says of `room` chunks; the empty text stands in those that are left over."""
        return self.encoded(self.chunks(stretches), emphasis, room)

    def encoded(self, chunks: Sequence[Unit], emphasis: Emphasis, room: int) -> Encoding:
        """The same of chunks of tokens."""
        filled = [*chunks, *([[]] * (room - len(chunks)))]
        said = [self._weighted(chunk, emphasis) for chunk in filled]
        states, lengths = torch.cat([one.states for one in said]), [len(chunk) for chunk in filled]

        def words() -> Tensor:
            return torch.cat([one[1 : 1 + n] for one, n in zip(states.chunk(len(lengths)), lengths, strict=True)])

        return Encoding(states, said[0].pooled, words)

    def said(self, chunks: Sequence[Sequence[int]]) -> list[Encoding]:
        """What the encoder says of the tokens of each chunk, all in one call, without weights; with gradients."""
        read = [[self.tokenizer.bos_token_id, *tokens[: self._length], self.tokenizer.eos_token_id] for tokens in chunks]
        filled = [one + [self.tokenizer.pad_token_id] * (self._length + 2 - len(one)) for one in read]
        place = self.encoder.device
        masked = getattr(self.encoder.config, "use_attention_mask", False)
        seen = [[1] * len(one) + [0] * (self._length + 2 - len(one)) for one in read]
        mask = torch.tensor(seen, device=place) if masked else None
        said = self.encoder(torch.tensor(filled, device=place), attention_mask=mask, output_hidden_states=self.penultimate)
        states = said.hidden_states[-2] if self.penultimate else said.last_hidden_state
        pooled = said.text_embeds if hasattr(said, "text_embeds") else said.pooler_output
        return [Encoding(states[i], pooled[i]) for i in range(len(read))]

    def unread(self, stretches: Sequence[Sequence[Part]]) -> str:
        """The end of a text that is longer than `MOST` chunks, "" if it is not."""
        beyond = [token for chunk in self._all(stretches)[MOST:] for token, _ in chunk]
        return self.tokenizer.decode(beyond)

    def learning(self, embedding: Embedding) -> ClipTexts:
        """The same with the tokens of an embedding. Raises `InputError` if it is of another family."""
        merge(self.tokenizer, self.encoder, embedding)
        return replace(self)

    @property
    def _length(self) -> int:
        return self.tokenizer.model_max_length - 2  # start and end token

    @cached_property
    def _followers(self) -> frozenset[int]:
        """Tokens that are a further vector of a learned word: name_1, name_2 after name."""
        known = self.tokenizer.get_added_vocab()
        found = {token: re.fullmatch(r"(.+)_\d+", token) for token in known}
        return frozenset(known[token] for token, match in found.items() if match and match[1] in known)

    @cached_property
    def _comma(self) -> int:
        return self.tokenizer(",", add_special_tokens=False).input_ids[-1]

    def _all(self, stretches: Sequence[Sequence[Part]]) -> list[Unit]:
        return [chunk for stretch in stretches or [[]] for chunk in self._cut(self._units(stretch))]

    def _units(self, stretch: Sequence[Part]) -> list[Unit]:
        units: list[Unit] = []
        for text, weight in stretch:
            for token in self.tokenizer(text, add_special_tokens=False, verbose=False).input_ids:
                if token in self._followers and units:
                    units[-1].append((token, weight))
                else:
                    units.append([(token, weight)])
        return [unit[: self._length] for unit in units]

    def _cut(self, units: list[Unit]) -> list[Unit]:
        chunks: list[list[Unit]] = [[]]
        for unit in units:
            if _tokens(chunks[-1]) + len(unit) > self._length:
                chunks.append(self._carried(chunks[-1]))
            chunks[-1].append(unit)
        return [[token for unit in chunk for token in unit] for chunk in chunks]

    def _carried(self, full: list[Unit]) -> list[Unit]:
        """Takes out of a full chunk what follows a comma near its end."""
        for i in reversed(range(len(full))):
            if _tokens(full[i + 1 :]) > COMMA_WITHIN:
                break
            if full[i][0][0] == self._comma:
                after = full[i + 1 :]
                del full[i + 1 :]
                return after
        return []

    def _weighted(self, chunk: Unit, emphasis: Emphasis) -> Encoding:
        (said,) = self.said([[token for token, _ in chunk]])  # read alone, so that no other can change it
        weights = [1.0, *(weight for _, weight in chunk)]  # the start token has none
        return replace(said, states=weighed(said.states, weights, emphasis, lambda: self.said([[]])[0].states))


def _tokens(units: Sequence[Unit]) -> int:
    return sum(map(len, units))
