"""Gives text encoders of transformers the vectors of an embedding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor, nn

from negativa.denoisers.embeddings.embedding import FAMILIES, Embedding
from negativa.denoisers.embeddings.layouts import PAIR
from negativa.errors import InputError

if TYPE_CHECKING:
    from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer


def merge(
    tokenizer: CLIPTokenizer,
    text_encoder: CLIPTextModel | CLIPTextModelWithProjection,
    embedding: Embedding,
    encoder: str | None = None,
) -> tuple[str, ...]:
    """Add an embedding's tokens to the tokenizer and a row for each to the encoder's table of words; returns the tokens.

    Where the embedding has vectors for several encoders, `encoder` says which are wanted ("clip_l" or "clip_g"). The encoder
    computes what it does after diffusers' `load_textual_inversion`, and its answers to other texts stay as they are. Raises
    `InputError`, with nothing changed, if the embedding is for another family or its word is a token already.
    """
    width = text_encoder.get_input_embeddings().embedding_dim
    encoders = (encoder,) if encoder else tuple(embedding.vectors)
    vectors = embedding.vectors.get(encoders[0])
    if len(encoders) > 1 or vectors is None or vectors.shape[1] != width:
        raise _misfit(embedding, (width,), f" for {encoder}" if encoder else "")
    _check_words(tokenizer, embedding)
    _add(tokenizer, text_encoder, vectors, embedding.tokens)
    return embedding.tokens


def merge_pair(
    tokenizers: Sequence[CLIPTokenizer],
    text_encoders: Sequence[CLIPTextModel | CLIPTextModelWithProjection],
    embedding: Embedding,
) -> None:
    """Add an embedding of Stable Diffusion XL to both of its tokenizers and encoders, as `merge` does to one.

    Raises `InputError`, with nothing changed, as `merge` does.
    """
    widths = tuple(one.get_input_embeddings().embedding_dim for one in text_encoders)
    if (tuple(embedding.vectors), embedding.widths) != (PAIR, widths):
        raise _misfit(embedding, widths)
    for tokenizer in tokenizers:
        _check_words(tokenizer, embedding)
    for tokenizer, text_encoder, name in zip(tokenizers, text_encoders, PAIR, strict=True):
        _add(tokenizer, text_encoder, embedding.vectors[name], embedding.tokens)


def _misfit(embedding: Embedding, widths: tuple[int, ...], reader: str = "") -> InputError:
    wanted = f"{'+'.join(map(str, widths))} ({FAMILIES.get(widths, 'unknown family')})"
    found = ", ".join(f"{name} of width {value.shape[1]}" for name, value in embedding.vectors.items())
    return InputError(
        f"embedding: {embedding.name!r} is for {embedding.family} ({found}); allowed: vectors of width {wanted}{reader}"
    )


def _check_words(tokenizer: CLIPTokenizer, embedding: Embedding) -> None:
    known = tokenizer.get_vocab()
    for token in embedding.tokens:
        if token in known:
            raise InputError(
                f"embedding: {token!r} is a token of this model already; allowed: another name for {embedding.path}"
            )


def _add(
    tokenizer: CLIPTokenizer,
    text_encoder: CLIPTextModel | CLIPTextModelWithProjection,
    vectors: Tensor,
    tokens: Sequence[str],
) -> None:
    table = text_encoder.get_input_embeddings()
    tokenizer.add_tokens(list(tokens))
    rows = tokenizer.convert_tokens_to_ids(list(tokens))
    old = table.weight.data
    new = old.new_zeros(max(len(old), max(rows) + 1), old.shape[1])
    new[: len(old)] = old
    new[rows] = vectors.to(new.device, new.dtype)
    text_encoder.set_input_embeddings(nn.Embedding.from_pretrained(new, freeze=not table.weight.requires_grad))
    text_encoder.config.vocab_size = len(new)
