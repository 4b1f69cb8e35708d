"""The little world under glass: a painter that knows the truth of every picture, and a reader that looks for it."""

from __future__ import annotations

from negativa.terrarium.painter import ATTRIBUTES, paint
from negativa.terrarium.reader import read, read_many

__all__ = ["ATTRIBUTES", "paint", "read", "read_many"]
