"""Weights inside a text. So far those below zero: "(mustache:-1)" counts against the rest of its text."""

from __future__ import annotations

import re
from typing import Final

from negativa.errors import InputError
from negativa.plain.knobs import number

BELOW: Final = re.compile(r"\(([^():]+):\s*(-\d*\.?\d+)\s*\)")


def below_zero(field: str, text: str) -> tuple[str, list[tuple[str, float]]]:
    """A text without its parts of weights below zero, and those parts with their weights.

    "a man (mustache:-1), hat" gives "a man, hat" and [("mustache", -1.0)]. A text without such a part comes back as it is.
    Raises `InputError` for a part without a word.
    """
    parts = [(part.strip(), number(f"{field} weight", float(weight))) for part, weight in BELOW.findall(text)]
    if any(not part for part, _ in parts):
        raise InputError(f"{field}: a weight below zero stands without a word; allowed: (word:-1)")
    if not parts:
        return text, []
    rest = re.sub(r"\s+([,.;])", r"\1", re.sub(r"\s{2,}", " ", BELOW.sub(" ", text)))
    return rest.strip(" ,"), [(part, weight) for part, weight in parts if weight]
