"""Texts as T5 reads them: weighted tokens, one stretch of fixed length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import T5EncoderModel, T5TokenizerFast

from negativa.denoisers.emphasis import weighed
from negativa.denoisers.encoding import Part, Unit
from negativa.plain.conditions import Emphasis


@dataclass(frozen=True)
class T5Texts:
    """T5's tokenizer and encoder: all stretches of a text are read as one, filled up to `length` tokens with its end."""

    tokenizer: T5TokenizerFast
    encoder: T5EncoderModel
    length: int

    def states(self, stretches: Sequence[Sequence[Part]], emphasis: Emphasis) -> Tensor:
        """What the encoder says of a text, (`length`, width); tokens beyond are cut."""
        return self._weighed(self._read(stretches), emphasis, self.length)

    def words(self, stretches: Sequence[Sequence[Part]], emphasis: Emphasis) -> Tensor:
        """What it says of the words when nothing fills them up, (tokens, width)."""
        units = self._read(stretches)
        return self._weighed(units, emphasis, len(units) + 1)[:-1]  # without the end

    def unread(self, stretches: Sequence[Sequence[Part]]) -> str:
        """The end of a text that does not fit, "" if all of it does."""
        return self.tokenizer.decode([token for token, _ in self._units(stretches)[self.length - 1 :]])

    def _read(self, stretches: Sequence[Sequence[Part]]) -> Unit:
        return self._units(stretches)[: self.length - 1]

    def _units(self, stretches: Sequence[Sequence[Part]]) -> Unit:
        parts = [part for stretch in stretches for part in stretch]
        ids = [self.tokenizer(text, add_special_tokens=False, verbose=False).input_ids for text, _ in parts]
        return [(token, weight) for tokens, (_, weight) in zip(ids, parts, strict=True) for token in tokens]

    def _weighed(self, units: Unit, emphasis: Emphasis, length: int) -> Tensor:
        weights = [weight for _, weight in units]
        return weighed(self._said(units, length), weights, emphasis, lambda: self._said([], length))

    def _said(self, units: Unit, length: int) -> Tensor:
        """Of tokens, their end and what fills them up to a length."""
        read = [*(token for token, _ in units), self.tokenizer.eos_token_id]
        filled = read + [self.tokenizer.pad_token_id] * (length - len(read))
        return self.encoder(torch.tensor([filled], device=self.encoder.device))[0][0]  # unmasked, as it was trained
