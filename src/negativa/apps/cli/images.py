"""Pictures as a person writes them on the command line, and the adapters that read them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from negativa.errors import InputError
from negativa.language.negatives import TAIL, check_end
from negativa.plain.conditions import Negative
from negativa.plain.images import Image

ADAPTER: Final = re.compile(r"(?P<adapter>[\w.-]+)=(?P<rest>.+)", re.DOTALL)
WEIGHTED: Final = re.compile(rf"(?P<path>.+?){TAIL}", re.DOTALL)
WRITTEN: Final = "[ADAPTER=]PATH, with :WEIGHT or :WEIGHT:START:STOP after it"


def parse_image(text: str) -> Image:
    """A picture to follow, as in cat.png, cat.png:0.8, plus=cat.png:0.8:0:0.5. Raises `InputError` if it cannot be read."""
    path, adapter, numbers = _parts("image", text)
    return Image(path, **adapter, **numbers)


def parse_negative_image(text: str, keep: str | None = None) -> Negative:
    """A picture to stay away from, written in the same way, and one that shall stay of it, without numbers."""
    path, adapter, numbers = _parts("negative image", text)
    return Negative(Image(path, **adapter), **numbers, keep=None if keep is None else _kept(keep))


def parse_adapters(given: Sequence[str] | None) -> dict[str, str] | list[str]:
    """Adapter files as `load` takes them, from PATH or NAME=PATH. Raises `InputError` where some have a name and some none."""
    found = {text: ADAPTER.fullmatch(text) for text in given or () if not Path(text).is_file()}
    named = {match["adapter"]: match["rest"] for match in found.values() if match}
    if not named:
        return list(given or ())
    if len(named) < len(given or ()):
        raise InputError(f"adapter: {', '.join(given or ())} were given; allowed: NAME=PATH for all of them, or for none")
    return named


def _kept(text: str) -> Image:
    path, adapter, numbers = _parts("keep image", text)
    if numbers:
        raise InputError(f"keep image: {text!r} was given; allowed: [ADAPTER=]PATH, its weight is that of its negative image")
    return Image(path, **adapter)


def _parts(field: str, text: str) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Path, adapter and numbers; what is a file's name as it stands is taken whole."""
    if Path(text).is_file():
        return text, {}, {}
    match = ADAPTER.fullmatch(text)
    rest = match["rest"] if match else text
    adapter = {"adapter": match["adapter"]} if match else {}
    if Path(rest).is_file():
        return rest, adapter, {}
    check_end(field, rest, WRITTEN)
    if (found := WEIGHTED.fullmatch(rest)) is None:
        return rest, adapter, {}
    if found["start"] and not found["stop"]:
        raise InputError(f"{field}: {text!r} was given; allowed: {WRITTEN}")
    return found["path"], adapter, {name: float(found[name]) for name in ("weight", "start", "stop") if found[name]}
