"""Embedding files: learned vectors that stand for a word in a prompt or negative, in every published layout.

`read` and `write` one file, look words up on a `Shelf`, and `merge` what is found into text encoders.
"""

from __future__ import annotations

from negativa.denoisers.embeddings.embedding import Embedding
from negativa.denoisers.embeddings.files import convert, read, write
from negativa.denoisers.embeddings.merging import merge, merge_pair
from negativa.denoisers.embeddings.shelf import Shelf

__all__ = ["Embedding", "Shelf", "convert", "merge", "merge_pair", "read", "write"]
