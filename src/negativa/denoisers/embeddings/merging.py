"""Gives a text encoder of transformers the vectors of an embedding."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from negativa.denoisers.embeddings.embedding import FAMILIES, Embedding
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
    table = text_encoder.get_input_embeddings()
    encoders = (encoder,) if encoder else tuple(embedding.vectors)
    vectors = embedding.vectors.get(encoders[0])
    if len(encoders) > 1 or vectors is None or vectors.shape[1] != table.embedding_dim:
        wanted = f"{table.embedding_dim} ({FAMILIES.get((table.embedding_dim,), 'unknown family')})"
        widths = ", ".join(f"{name} of width {value.shape[1]}" for name, value in embedding.vectors.items())
        raise InputError(
            f"embedding: {embedding.name!r} is for {embedding.family} ({widths}); allowed: vectors of width {wanted}"
            + (f" for {encoder}" if encoder else "")
        )
    known = tokenizer.get_vocab()
    for token in embedding.tokens:
        if token in known:
            raise InputError(
                f"embedding: {token!r} is a token of this model already; allowed: another name for {embedding.path}"
            )
    tokenizer.add_tokens(list(embedding.tokens))
    rows = tokenizer.convert_tokens_to_ids(list(embedding.tokens))
    old = table.weight.data
    new = old.new_zeros(max(len(old), max(rows) + 1), old.shape[1])
    new[: len(old)] = old
    new[rows] = vectors.to(new.device, new.dtype)
    text_encoder.set_input_embeddings(nn.Embedding.from_pretrained(new, freeze=not table.weight.requires_grad))
    text_encoder.config.vocab_size = len(new)
    return embedding.tokens
