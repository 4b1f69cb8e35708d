r"""The grammar of AUTOMATIC1111's web UI, which most prompts are written in.

`(x)` weighs 1.1, `(x:1.3)` 1.3, `[x]` 1/1.1; brackets inside brackets multiply; an unclosed bracket acts to the end;
neighbours of equal weight are one part; BREAK begins a new chunk. `\( \) \[ \] \: \| \\` are the characters themselves.

Where the original stumbles, this is decided:
- `(x:1.2.3)` stops it; here what is no number is text, and the bracket weighs 1.1.
- `(x:1.3` at the very end loses its weight; here the unclosed bracket weighs 1.3.
- BREAK inside brackets becomes a word; here it begins a new chunk wherever it stands.
- A backslash before any other character disappears; here it stays.
- Weights beyond a million either way are a million.

`<lora:name:1>` and its kin, `<lyco:...>` and `<hypernet:...>`, are no text: the original loads them, here they are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import groupby
from typing import Final

from negativa.language.prompting.parts import BREAK, EMPTY, NUMBER, ROUND, Chunk, Part, bounded, merged, nests, shown

ESCAPE: Final = r"\\([()\[\]\\:|])"
MARK: Final = re.compile(rf"{ESCAPE}|:\s*({NUMBER})\s*\)|\bBREAK\b|[()\[\]]")
TAIL: Final = re.compile(rf"\s*({NUMBER})\s*")
SPECIAL: Final = re.compile(r"([()\[\]\\])")
TAG: Final = re.compile(r"<(?:lora|lyco|hypernet):[^<>]+>")
WORDS: Final = re.compile(r"\b(BREA(?=K\b)|AN(?=D\b))")


def chunks(text: str) -> tuple[Chunk, ...]:
    """The text's chunks between BREAKs, each of parts with their weights; white space around BREAK is dropped.

    There is always a chunk, and every chunk has a part: `("", 1.0)` stands for no text. An empty chunk at the end is dropped.
    """
    found = _found(text)
    if len(found) > 1 and not found[-1]:
        found.pop()
    return tuple(tuple(chunk) or (EMPTY,) for chunk in found)


def parse(text: str) -> list[Part]:
    """The text's parts in a row, `("BREAK", -1.0)` between chunks."""
    first, *others = _found(text)
    parts = [*first]
    for chunk in others:
        parts += [BREAK, *chunk]
    return parts or [EMPTY]


def unparse(parts: Iterable[Part]) -> str:
    """A text that `parse` reads as these parts, neighbours of equal weight joined, and a prompt box as one clause."""
    groups = [list(group) for _, group in groupby(parts, key=lambda part: part == BREAK)]
    text = " ".join(" ".join("BREAK" for _ in group) if group[0] == BREAK else _written(group) for group in groups)
    body, colon, tail = text.rpartition(":")
    return f"{body}\\:{tail}" if colon and TAIL.fullmatch(tail) else text  # else it would weigh the whole clause


def untagged(text: str) -> str:
    """The text without <lora:name:1> and its kin."""
    return TAG.sub("", text)


def unclosed(text: str) -> tuple[list[int], list[int], float | None]:
    """Where round and square brackets stand open at the text's end, and the weight at the end that the last round one has."""
    opened: dict[str, list[int]] = {"(": [], "[": []}
    end = 0
    for mark in MARK.finditer(text):
        end = mark.end()
        if mark[0] in opened:
            opened[mark[0]].append(mark.start())
        elif mark[1] is None and mark[0][-1] in ")]" and (pending := opened["(" if mark[0][-1] == ")" else "["]):
            pending.pop()
    weight = None
    if opened["("] and not opened["["]:
        _, colon, tail = text[end:].rpartition(":")
        if colon and (number := TAIL.fullmatch(tail)):
            weight = bounded(float(number[1]))
    return opened["("], opened["["], weight


def _factors(text: str) -> tuple[dict[int, float], int]:
    """What each round bracket multiplies by, by its place, and where the text ends that is no weight."""
    opened: list[int] = []
    factors: dict[int, float] = {}
    for mark in MARK.finditer(text):
        if mark[0] == "(":
            opened.append(mark.start())
        elif mark[1] is None and mark[0].endswith(")") and opened:
            factors[opened.pop()] = bounded(float(mark[2] or ROUND))
    rounds, _, weight = unclosed(text)
    if weight is None:
        return factors, len(text)
    return factors | {rounds[-1]: weight}, text.rindex(":")


def _found(text: str) -> list[list[Part]]:
    factors, length = _factors(text)
    # Rounds multiply and squares divide in two stacks of their own: they may cross, "(a [b) c]", as in the original.
    rounds, squares = [1.0], [1.0]
    found: list[list[Part]] = [[]]
    position = 0
    for mark in MARK.finditer(text):
        found[-1].append((text[position : mark.start()], bounded(rounds[-1] / squares[-1])))
        position = mark.end()
        literal = ""
        if mark[1] is not None:
            literal = mark[1]
        elif mark[0] == "BREAK":
            found.append([])
        elif mark[0] == "(":
            rounds.append(bounded(rounds[-1] * factors.get(mark.start(), ROUND)))
        elif mark[0] == "[":
            squares.append(bounded(squares[-1] * ROUND))
        elif len(pending := squares if mark[0] == "]" else rounds) > 1:
            pending.pop()
        else:
            literal = mark[0]
        found[-1].append((literal, bounded(rounds[-1] / squares[-1])))
    found[-1].append((text[position:length], bounded(rounds[-1] / squares[-1])))
    last = len(found) - 1
    return [_stripped(merged(chunk), index > 0, index < last) for index, chunk in enumerate(found)]


def _stripped(chunk: list[Part], before: bool, after: bool) -> list[Part]:
    """The chunk without white space where a BREAK stands before or after it."""
    start, stop = 0, len(chunk)
    while before and start < stop and not chunk[start][0].strip():
        start += 1
    while after and stop > start and not chunk[stop - 1][0].strip():
        stop -= 1
    kept = chunk[start:stop]
    if before and kept:
        kept[0] = (kept[0][0].lstrip(), kept[0][1])
    if after and kept:
        kept[-1] = (kept[-1][0].rstrip(), kept[-1][1])
    return kept


def _written(parts: Iterable[Part]) -> str:
    written = []
    for part, weight in merged(parts):
        # An empty pair of brackets weighs nothing and keeps the letters from being the word.
        text = WORDS.sub(r"\1()", SPECIAL.sub(r"\\\1", part))
        count = 0 if ":" in text or "|" in text else nests(weight)
        if weight == 1:
            written.append(text)
        elif count > 0:
            written.append("(" * count + text + ")" * count)
        elif count < 0:
            written.append("[" * -count + text + "]" * -count)
        else:
            written.append(f"({text}:{shown(weight)})")
    return "".join(written)
