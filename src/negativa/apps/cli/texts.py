"""What a person typed as prompt and negatives, understood: negations moved, names expanded, and what is to be said of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from negativa.errors import InputError
from negativa.language import named, negation
from negativa.language.prompting import split_and
from negativa.plain.conditions import Negative

NUMBER: Final = r"\d*\.?\d+"
SHARE: Final = r"(?:0?\.\d+|[01](?:\.0*)?)"
TAIL: Final = rf":(?P<weight>-?{NUMBER})(?::(?P<start>{NUMBER})(?::(?P<stop>{NUMBER}))?)?"
LORA: Final = re.compile(rf"(?P<file>.+?):(?P<weight>-?{NUMBER})", re.DOTALL)
WEIGHTED: Final = re.compile(rf"(?P<text>@[^:]+|.*?[^\d.]){TAIL}", re.DOTALL)
#: With all three numbers, also after a text that ends in a digit ("bad-hands-5:0.8:0:0.5"): no time of day reads like this.
WHOLE: Final = re.compile(rf"(?P<text>.+?):(?P<weight>-?{NUMBER}):(?P<start>{SHARE}):(?P<stop>{SHARE})", re.DOTALL)
#: What ends like a weight and a window, well written or not.
LIKE: Final = r"[+-]?(?:(?=[.,]*\d)[\d.,]+(?:e[+-]?\d+)?|nan|inf(?:inity)?)"
ENDED: Final = re.compile(rf".*?[^\d.,:\\](?P<tail>(?::{LIKE})+:?)", re.DOTALL | re.IGNORECASE)
WRITTEN: Final = "TEXT, TEXT:WEIGHT or TEXT:WEIGHT:START:STOP"


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
    given = None if negatives is None else tuple(map(parse_negative, negatives))
    notices = tuple(notice for one in given or () for notice in negation.doubled(one.text))
    if prompt is None or literal:
        return Texts(prompt, given, notices)
    split = negation.split(prompt)
    found = tuple(one for one in map(Negative, split.negatives) if one not in (given or ()))  # which may have said it too
    said = (*split.notices, *notices)
    return Texts(split.prompt, (*(given or ()), *found) if found else given, said)


def parse_negative(text: str) -> Negative:
    """A negative as written on the command line: TEXT, TEXT:WEIGHT or TEXT:WEIGHT:START:STOP; @NAME is a named one.

    A text that ends in a digit is taken whole with one number or two ("at 10:30"). Raises `InputError` for a start without a
    stop, an end that looks like numbers and is none ("hat:1e3"; "hat\\:1e3" is text), or an unknown name.
    """
    check_end("negative", text, WRITTEN)
    found = WHOLE.fullmatch(text) or WEIGHTED.fullmatch(text)
    if found is None or (found["start"] is None and len(split_and(text)) > 1):  # a number after AND weighs its clause alone
        return Negative(named.expand(text))
    if found["start"] and not found["stop"]:
        raise InputError(f"negative: {text!r} was given; allowed: {WRITTEN}")
    values: dict[str, Any] = {name: float(found[name]) for name in ("weight", "start", "stop") if found[name]}
    return Negative(named.expand(found["text"]), **values)


def parse_lora(text: str) -> tuple[str, float]:
    """A LoRA as written on the command line: FILE or FILE:WEIGHT; what is a file's name as it stands is taken whole.

    Raises `InputError` for an end that looks like a weight and is none.
    """
    found = None if Path(text).is_file() else LORA.fullmatch(text)
    file, weight = (found["file"], float(found["weight"])) if found else (text, 1.0)
    if not Path(file).is_file():
        check_end("lora", text, "FILE or FILE:WEIGHT", rf":-?{NUMBER}")
    return file, weight


def check_end(field: str, text: str, written: str, numbers: str = TAIL) -> None:
    """Raise `InputError` if a text ends in what looks like its numbers, but is not."""
    if (found := ENDED.fullmatch(text)) and not re.fullmatch(numbers, found["tail"]):
        raise InputError(f"{field}: {text!r} was given; allowed: {written}, with numbers as in 0.5")


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
