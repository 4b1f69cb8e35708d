"""What a person typed as prompt and negatives, understood: negations moved, names expanded, and what is to be said of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from negativa.errors import InputError
from negativa.language.negatives import NUMBER, check_end, parse_negative
from negativa.plain.conditions import Negative

LORA: Final = re.compile(rf"(?P<file>.+?):(?P<weight>-?{NUMBER})", re.DOTALL)


@dataclass(frozen=True)
class Texts:
    """A prompt and its negatives as a recipe takes them, and sentences about what became of what was typed."""

    prompt: str | None
    negatives: tuple[Negative, ...] | None
    notices: tuple[str, ...] = ()


def understood(prompt: str | None, negatives: Sequence[str] | None, literal: bool) -> Texts:
    """What was typed, with the negations of the prompt as negatives after those that were given.

    None stays None where nothing was typed. `literal` leaves the prompt as it is. Raises `InputError` for a negative that
    cannot be read.
    """
    from negativa.language import negation

    given = None if negatives is None else tuple(map(parse_negative, negatives))
    notices = tuple(notice for one in given or () for notice in negation.doubled(one.text))
    if prompt is None or literal:
        return Texts(prompt, given, notices)
    split = negation.split(prompt)
    found = tuple(one for one in map(Negative, split.negatives) if one not in (given or ()))  # which may have said it too
    said = (*split.notices, *notices)
    return Texts(split.prompt, (*(given or ()), *found) if found else given, said)


def parse_lora(text: str) -> tuple[str, float]:
    """A LoRA as written on the command line: FILE or FILE:WEIGHT; what is a file's name as it stands is taken whole.

    Raises `InputError` for an end that looks like a weight and is none.
    """
    found = None if Path(text).is_file() else LORA.fullmatch(text)
    file, weight = (found["file"], float(found["weight"])) if found else (text, 1.0)
    if not Path(file).is_file():
        check_end("lora", text, "FILE or FILE:WEIGHT", rf":-?{NUMBER}")
    return file, weight


def parse_weaker(text: str | None) -> str | list[tuple[str, float]] | None:
    """What to move away from as written on the command line: a model, or a LoRA as in `parse_lora` after lora=."""
    return [parse_lora(text.removeprefix("lora="))] if text and text.startswith("lora=") else text


def parse_knobs(written: list[str]) -> dict[str, float]:
    """Knobs as written on the command line, each once: NAME=VALUE. Raises `InputError` for anything else."""
    found: dict[str, float] = {}
    for text in written:
        name, _, value = text.partition("=")
        if (name := name.strip()) in found:
            raise InputError(f"knob: {name!r} was given twice; allowed: once")
        try:
            found[name] = float(value)
        except ValueError as error:
            raise InputError(f"knob: {text!r} was given; allowed: NAME=NUMBER, as in momentum=0.5") from error
    return found
