"""The little world under glass: a painter that knows the truth of every picture, and a reader that looks for it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from negativa.terrarium.painter import ATTRIBUTES, paint
from negativa.terrarium.reader import read, read_many

#: The folder of the learned tokens that ship with it, <neon> and <wrong>: `Recipe(embeddings=terrarium.TOKENS)`.
TOKENS: Final = Path(__file__).parent / "weights" / "tokens"

__all__ = ["ATTRIBUTES", "TOKENS", "paint", "read", "read_many"]
