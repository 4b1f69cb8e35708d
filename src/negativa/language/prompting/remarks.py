"""Sentences about a text: what of its grammar has no effect, or another one than it seems."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from negativa.language.prompting import a1111, clauses, comfy, schedules
from negativa.language.prompting.parts import LARGEST
from negativa.language.prompting.syntaxes import checked

NO_NUMBER: Final = re.compile(r":\s*[+-]?[.\d]*[.,][.,\d]*\s*\)")
SQUARE: Final = re.compile(r"\[[^\[\]]*\]")
WORD: Final = re.compile(r"\b(?:AND|BREAK)\b")
ROUND: Final = re.compile(r"\([^()]*\)")
NUMBERED: Final = re.compile(r"[^\s,:\\][^,:]{0,40}:\s*\d*\.\d+(?=\s*,)")
INSIDE: Final = re.compile(r"\([^()]*:\s*[+-]?\d*\.?\d+\s*\)")
BELOW: Final = re.compile(r"\)-\s*\d*\.?\d+")
SHOWN: Final = 40


def notices(field: str, text: str, syntax: str = "a1111", steps: int = 1) -> tuple[str, ...]:
    """What a person should know about a text in this field, each once, in a sentence; usually nothing.

    Raises `InputError` for an unknown syntax and fewer than one step.
    """
    known = {"a1111": _a1111, "comfy": _comfy, "compel": _compel, "plain": _plain}[checked(syntax)]
    return tuple(dict.fromkeys(f"{field}: {said}" for said in known(text, steps)))


def _a1111(text: str, steps: int) -> Iterator[str]:
    if tags := a1111.TAG.findall(text):
        said = f"{', '.join(map(_shown, tags))} {'is' if len(tags) == 1 else 'are'} taken out of the text"
        yield f"{said}; a LoRA is given with --lora FILE:WEIGHT (loras=)"
    text = a1111.untagged(text)
    rounds, squares, weight = a1111.unclosed(text)
    for place in sorted(rounds + squares):
        ending = f" with the weight {weight:g}" if weight is not None and place == rounds[-1] else ""
        yield f"the bracket {_shown(text[place:])} is not closed and acts to the end{ending}"
    for mark in a1111.MARK.finditer(text):
        if mark[2] is not None and abs(float(mark[2])) > LARGEST:
            yield f"the weight {_shown(mark[2])} is taken as {LARGEST:g}"
    yield from _numberless(text, a1111.MARK)
    for mark in NUMBERED.finditer(ROUND.sub("", text)):
        yield f"the number in {_shown(mark[0].strip())} is text; a weight is written (words:0.5)"
    for never in schedules.resolve(text, 1, steps).never:
        yield f"{_shown(never)} would begin after the last of {steps} steps and never does; a weight is written (words:1.2)"
    ands = len(re.findall(r"\bAND\b", text)) - len(clauses.ands(text))
    if ands:
        yield "AND inside brackets is a word; outside it joins two prompts"
    each = clauses.split_and(text)
    if len(each) == 1 and each[0][1] != 1:
        yield f"the {each[0][1]:g} at the end weighs the whole text; \\: in front of it makes it text"


def _comfy(text: str, steps: int) -> Iterator[str]:
    for place in comfy.unpaired(text):
        yield f"the bracket {_shown(text[place:])} has no partner and is text"
    yield from _numberless(text, comfy.MARK)
    yield from _foreign(text, "comfy")


def _compel(text: str, steps: int) -> Iterator[str]:
    for mark in BELOW.finditer(text):
        yield f"{mark[0]!r} is no weight below zero: compel reads )- as 0.9 and the number as text"
    for mark in INSIDE.finditer(text):
        yield f"the number in {_shown(mark[0])} is text; compel writes (words)1.2"
    yield from _foreign(text, "compel")


def _numberless(text: str, weight: re.Pattern[str]) -> Iterator[str]:
    """The ends of brackets that look like a weight and are none of this syntax."""
    for mark in NO_NUMBER.finditer(text):
        if not weight.fullmatch(mark[0]):
            yield f"{mark[0]!r} holds no number and is text, its bracket weighs 1.1"


def _foreign(text: str, syntax: str) -> Iterator[str]:
    """What a1111 knows and this syntax does not."""
    for mark in SQUARE.finditer(text):
        yield f"{_shown(mark[0])} is text, brackets and all: {syntax} knows round ones only"
    for mark in WORD.finditer(text):
        yield f"{mark[0]} is a word in {syntax}'s grammar"


def _plain(text: str, steps: int) -> Iterator[str]:
    if a1111.parse(text) != [(text, 1.0)] or schedules.changes(text) or clauses.ands(text):
        yield "weights, schedules and AND are text: the syntax is plain"


def _shown(text: str) -> str:
    return repr(text if len(text) <= SHOWN else f"{text[:SHOWN]}…")
