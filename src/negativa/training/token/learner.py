"""What learns: the vectors of a new token, in the place of its rows in a model's text encoders; all else stands still."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from negativa.denoisers.embeddings import Embedding, merge, merge_pair
from negativa.denoisers.embeddings.layouts import ENCODERS, PAIR
from negativa.denoisers.encoding import Encoding
from negativa.denoisers.sdxl import PairedTexts
from negativa.denoisers.texts import ClipTexts
from negativa.denoisers.unet import UNetDiffusion
from negativa.errors import InputError

FILLING: Final = "<filling>"  # no words, but the token that ends a text, and those that fill it up


class Learner(nn.Module):
    """The vectors of a new token, (n, width) for each text encoder, float32, added to a model's tokenizers and encoders.

    They begin as those of the words `init`, taken in turn, or of what ends and fills up a text if it is `FILLING`; without
    words, as the mean of all that the encoder knows. The encoders' own tables stay as they are: the vectors are put in the
    place of what is looked up there. `written` is how a text says the token. Raises `InputError` for a token that is one
    already, and for words that are none.
    """

    def __init__(self, denoiser: UNetDiffusion, token: str, vectors: int, init: str = "") -> None:
        super().__init__()
        self._denoiser, self._readers = denoiser, readers_of(denoiser)
        start = untrained(denoiser, token, vectors, init)
        tokenizers, encoders = [one.tokenizer for one in self._readers], [one.encoder for one in self._readers]
        if len(encoders) == 1:
            merge(tokenizers[0], encoders[0], start)
        else:
            merge_pair(tokenizers, encoders, start)
        self.start, self.written = start, " ".join(start.tokens)
        self.vectors = nn.ParameterList(nn.Parameter(rows.clone().to(denoiser.device)) for rows in start.vectors.values())
        for tokenizer, encoder, rows in zip(tokenizers, encoders, self.vectors, strict=True):
            numbers = tokenizer.convert_tokens_to_ids(list(start.tokens))
            encoder.get_input_embeddings().register_forward_hook(partial(_put, numbers, rows))

    def forward(self, texts: Sequence[str], room: int = 1) -> list[Encoding]:
        """What the encoders say of texts that hold the token: of the first chunk of each; of `room` chunks others are empty."""
        chunks = [self._readers[0].chunks([[(text, 1.0)]])[0] for text in texts]
        said = [_filled(reader, [[token for token, _ in chunk] for chunk in chunks], room) for reader in self._readers]
        return [replace(parts[-1], states=torch.cat([one.states for one in parts], -1)) for parts in zip(*said, strict=True)]

    def predict(self, noisy: Tensor, timesteps: Tensor, texts: Sequence[str], room: int = 1) -> Tensor:
        """What the denoiser predicts for noisy latents (n, channels, height, width) under these texts, of `room` chunks."""
        unet, read = self._denoiser.unet, self(texts, room)
        height, width = noisy.shape[-2:]
        beside = self._denoiser.beside(read, (height, width))
        states = torch.stack([one.states for one in read])
        return unet(noisy.to(unet.dtype), timesteps, states, added_cond_kwargs=beside, return_dict=False)[0]

    def embedding(self, dtype: torch.dtype = torch.float32) -> Embedding:
        """What has been learned so far."""
        rows = [one.detach().to("cpu", dtype, copy=True) for one in self.vectors]
        return Embedding(self.start.name, dict(zip(self.start.vectors, rows, strict=True)), "", "", self.start.path)


def untrained(denoiser: UNetDiffusion, token: str, vectors: int, init: str = "") -> Embedding:
    """The token as it begins. Raises `InputError` as `Learner` does."""
    readers = readers_of(denoiser)
    first = [_first(reader, vectors, init) for reader in readers]
    names = PAIR if len(first) == 2 else [ENCODERS.get(first[0].shape[1], PAIR[0])]
    start = Embedding(token, dict(zip(names, first, strict=True)), "", "", Path(token))
    for one in start.tokens:
        if one in readers[0].tokenizer.get_vocab():
            raise InputError(f"token: {one!r} is a token of {denoiser.name!r} already; allowed: another name")
    return start


def readers_of(denoiser: UNetDiffusion) -> list[ClipTexts]:
    """The tokenizers and encoders that read a model's texts, in the order in which their states are joined."""
    texts = denoiser.read_by()
    return [texts.first, texts.second] if isinstance(texts, PairedTexts) else [texts]


def _first(reader: ClipTexts, vectors: int, init: str) -> Tensor:
    known = reader.encoder.get_input_embeddings().weight.detach().float().cpu()
    if not init:
        return known.mean(0, keepdim=True).repeat(vectors, 1)
    filling = [reader.tokenizer.eos_token_id, *[reader.tokenizer.pad_token_id] * (vectors - 1)]
    words = filling if init == FILLING else reader.tokenizer(init, add_special_tokens=False).input_ids
    if not words:
        raise InputError(f"init: {init!r} was given; allowed: a word, or several")
    return known[[words[i % len(words)] for i in range(vectors)]]


def _filled(reader: ClipTexts, chunks: Sequence[Sequence[int]], room: int) -> list[Encoding]:
    if room == 1:
        return reader.said(chunks)
    *said, empty = reader.said([*chunks, []])
    return [replace(one, states=torch.cat([one.states, *[empty.states] * (room - 1)])) for one in said]


def _put(numbers: Sequence[int], rows: Tensor, _: nn.Module, asked: tuple[Tensor], found: Tensor) -> Tensor:
    for number, row in zip(numbers, rows, strict=True):
        found = torch.where((asked[0] == number)[..., None], row.to(found.dtype), found)
    return found
