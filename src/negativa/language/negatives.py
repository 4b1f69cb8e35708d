"""Negatives as they are written on one line: TEXT, TEXT:WEIGHT or TEXT:WEIGHT:START:STOP."""

from __future__ import annotations

import re
from contextlib import suppress
from decimal import Decimal
from typing import Any, Final

from negativa.errors import InputError
from negativa.plain.conditions import Negative

NUMBER: Final = r"\d*\.?\d+"
SHARE: Final = r"(?:0?\.\d+|[01](?:\.0*)?)"
TAIL: Final = rf":(?P<weight>-?{NUMBER})(?::(?P<start>{NUMBER})(?::(?P<stop>{NUMBER}))?)?"
WEIGHTED: Final = re.compile(rf"(?P<text>@[^:]+|.*?[^\d.\\]){TAIL}", re.DOTALL)
#: With all three numbers, also after a text that ends in a digit ("bad-hands-5:0.8:0:0.5"): no time of day reads like this.
WHOLE: Final = re.compile(rf"(?P<text>.*?[^\\]):(?P<weight>-?{NUMBER}):(?P<start>{SHARE}):(?P<stop>{SHARE})", re.DOTALL)
#: What ends like a weight and a window, well written or not.
LIKE: Final = r"[+-]?(?:(?=[.,]*\d)[\d.,]+(?:e[+-]?\d+)?|nan|inf(?:inity)?)"
ENDED: Final = re.compile(rf".*?[^\d.,:\\](?P<tail>(?::{LIKE})+:?)", re.DOTALL | re.IGNORECASE)
WRITTEN: Final = "TEXT, TEXT:WEIGHT or TEXT:WEIGHT:START:STOP"


def parse_negative(text: str) -> Negative:
    """A negative as it is written on a command line, on an axis or in a plan; @NAME stands for a named one.

    A text that ends in a digit is taken whole with one number or two ("at 10:30"). Raises `InputError` for a start without a
    stop, an end that looks like numbers and is none ("hat:1e3"; "hat\\:1e3" is text), or an unknown name.
    """
    from negativa.language.named import expand

    check_end("negative", text, WRITTEN)
    found = WHOLE.fullmatch(text) or WEIGHTED.fullmatch(text)
    if found is None or (found["start"] is None and _weighs_a_part(text, found["text"])):
        return Negative(expand(text))
    if found["start"] and not found["stop"]:
        raise InputError(f"negative: {text!r} was given; allowed: {WRITTEN}")
    values: dict[str, Any] = {name: float(found[name]) for name in ("weight", "start", "stop") if found[name]}
    return Negative(expand(found["text"]), **values)


def _weighs_a_part(text: str, before: str) -> bool:
    """Whether the number at the end of a text is that of a clause after AND, or stands in a bracket that is not closed."""
    from negativa.language.prompting import split_and

    return len(split_and(text)) > 1 or before.count("(") > before.count(")")


def write_negative(negative: Negative) -> str:
    """The inverse of `parse_negative`, as short as it can be. Raises `InputError` for a text that is read otherwise there."""
    numbers = [format(Decimal(repr(one)), "f") for one in (negative.weight, negative.start, negative.stop)]
    for count in (0, 1, 3):
        with suppress(InputError):
            if parse_negative(written := ":".join([negative.text, *numbers[:count]])) == negative:
                return written
    raise InputError(f"negative: {negative.text!r} was given; allowed: a text whose end is not read as numbers, or as a name")


def check_end(field: str, text: str, written: str, numbers: str = TAIL) -> None:
    """Raise `InputError` if a text ends in what looks like its numbers, but is not."""
    if (found := ENDED.fullmatch(text)) and not re.fullmatch(numbers, found["tail"]):
        raise InputError(f"{field}: {text!r} was given; allowed: {written}, with numbers as in 0.5")
