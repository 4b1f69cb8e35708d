"""Parts of a text with their weights, and how a weight is kept and written."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from negativa.plain.knobs import number

Part = tuple[str, float]
Chunk = tuple[Part, ...]

BREAK: Final[Part] = ("BREAK", -1.0)
EMPTY: Final[Part] = ("", 1.0)
LARGEST: Final = 1e6
ROUND: Final = 1.1
NUMBER: Final = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
NEST: Final = 4


def bounded(weight: float) -> float:
    """The weight, at most a million either way, so that ten thousand brackets stay a number; -0 becomes 0."""
    return max(-LARGEST, min(LARGEST, weight)) + 0.0


def merged(parts: Iterable[Part]) -> list[Part]:
    """The parts without empty ones, neighbours of equal weight joined."""
    texts: list[list[str]] = []
    weights: list[float] = []
    for text, weight in parts:
        if not text:
            continue
        if weights and weights[-1] == weight:
            texts[-1].append(text)
        else:
            texts.append([text])
            weights.append(weight)
    return [("".join(text), weight) for text, weight in zip(texts, weights, strict=True)]


def shown(weight: float) -> str:
    """The shortest text of digits that is read as this number, for grammars without exponents.

    Raises `InputError` if it is not finite.
    """
    return format(Decimal(repr(number("weight", weight))), "f").removesuffix(".0")


def nests(weight: float) -> int:
    """How many brackets make this weight: 2 for `((x))`, -2 for `[[x]]`, 0 if a number is shorter."""
    product = 1.0
    for count in range(1, NEST + 1):
        product *= ROUND
        if weight == product:
            return count
        if weight == 1.0 / product:
            return -count
    return 0
