"""A whole prompt box: clauses joined by AND, each of chunks, each of parts with their weights.

    a red fox:0.5 AND (snow:1.2) BREAK night:-1.2
    Clause((("a red fox", 1.0),), weight 0.5) and Clause((("snow", 1.2),), (("night", 1.0),), weight -1.2)

The original reads AND in the positive box only; here both boxes say it. AND inside closed brackets is a word: splitting there
would tear the weight from its text. A number at the end of a clause weighs it. In a text without AND it must have a sign or a
point, `a fox:1.2`: the original takes the 9 of "ratio 16:9" for a weight. `16\\:9` is never one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from negativa.language.prompting import a1111, comfy, schedules
from negativa.language.prompting.parts import Chunk, bounded
from negativa.language.prompting.syntaxes import checked, parse

BRACKETS: Final = rf"{a1111.ESCAPE}|[()\[\]]"


@dataclass(frozen=True)
class Clause:
    """One prompt of a box: its chunks, at least one, each of at least one part, and its weight beside the others."""

    chunks: tuple[Chunk, ...]
    weight: float = 1.0

    @property
    def weighted(self) -> bool:
        """Whether any part weighs other than 1; if not, it encodes as the bare text does."""
        return any(weight != 1 for chunk in self.chunks for _, weight in chunk)


def read(text: str, syntax: str = "a1111", step: int = 0, steps: int = 1) -> tuple[Clause, ...]:
    """What a box says at a step, counted from 0: one clause or more.

    Raises `InputError` for an unknown syntax, a step that is none of `steps`, and what a grammar knows but nobody carries out.
    """
    if checked(syntax) != "a1111":
        parts = parse(text, syntax)
        return (Clause((tuple(comfy.embedded(parts) if syntax == "comfy" else parts),)),)
    said = schedules.at(a1111.untagged(text), step, steps)
    return tuple(Clause(a1111.chunks(one), weight) for one, weight in split_and(said))


def is_scheduled(text: str, syntax: str = "a1111") -> bool:
    """Whether steps may differ; if not, what `read` gives for one step holds for all. Raises `InputError` as `read` does."""
    return checked(syntax) == "a1111" and schedules.changes(a1111.untagged(text))


def split_and(text: str) -> list[tuple[str, float]]:
    """The clauses of a text with their weights, without white space around them; empty ones are dropped beside others.

    A text without AND and without a weight at its end comes back as it is.
    """
    cuts = ands(text)
    if not cuts:
        body, weight = _weighted(text, alone=True)
        return [(text, 1.0)] if weight is None else [(body, bounded(weight))]
    stops = [start for start, _ in cuts] + [len(text)]
    starts = [0] + [stop for _, stop in cuts]
    clauses = [_weighted(text[start:stop], alone=False) for start, stop in zip(starts, stops, strict=True)]
    said = [(one.strip(), 1.0 if weight is None else bounded(weight)) for one, weight in clauses if one.strip()]
    return said or [("", 1.0)]


def ands(text: str) -> list[tuple[int, int]]:
    """Where AND stands outside closed brackets."""
    return _outside(text, r"\bAND\b")


def split_commas(text: str) -> list[str]:
    """The text between its commas; those inside closed brackets are left alone."""
    cuts = _outside(text, ",")
    starts, stops = [0, *(stop for _, stop in cuts)], [*(start for start, _ in cuts), len(text)]
    return [text[start:stop] for start, stop in zip(starts, stops, strict=True)]


def _outside(text: str, sign: str) -> list[tuple[int, int]]:
    """Where a sign (a regular expression) stands outside closed brackets."""
    marks = list(re.finditer(rf"{BRACKETS}|(?P<sign>{sign})", text))
    opened: dict[str, list[int]] = {"(": [], "[": []}
    inside: dict[int, int] = {}
    for mark in marks:
        if mark[0] in ("(", "["):
            opened[mark[0]].append(mark.start())
        elif mark[0] in (")", "]") and (pending := opened["(" if mark[0] == ")" else "["]):
            inside |= {pending.pop(): 1, mark.start(): -1}
    depth = 0
    found = []
    for mark in marks:
        depth += inside.get(mark.start(), 0)
        if mark["sign"] is not None and depth == 0:
            found.append(mark.span())
    return found


def _weighted(text: str, alone: bool) -> tuple[str, float | None]:
    """A clause without the weight at its end, and that weight; none if it belongs to an open bracket."""
    body, colon, tail = text.rpartition(":")
    number = a1111.TAIL.fullmatch(tail) if colon else None
    if number is None or len(_backslashes(body)) % 2 or (alone and not re.search(r"[.+-]", number[1])):
        return text, None
    rounds, squares, _ = a1111.unclosed(body)
    return (text, None) if rounds or squares else (body.strip(), float(number[1]))


def _backslashes(text: str) -> str:
    return text[len(text.rstrip("\\")) :]
