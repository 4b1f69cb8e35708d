"""Files that a recipe names, as plain values: their paths, the weights of those that have one, and when they were written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Final, TypeAlias

from negativa.errors import InputError
from negativa.plain.knobs import number, text

Paths: TypeAlias = "str | PathLike[str] | Sequence[str | PathLike[str]] | None"
Weighed: TypeAlias = "str | PathLike[str] | Mapping[str, float] | Sequence[str | PathLike[str] | Sequence[Any]] | None"
STRONGEST: Final = 10.0  # weight of a LoRA, either way


def paths(field: str, given: Any) -> tuple[str, ...]:
    """One path or several. Raises `InputError` for anything else."""
    if not isinstance(given, str | PathLike | Sequence | None):
        raise InputError(f"{field}: {given!r:.80} was given; allowed: a path, or several")
    return tuple(_path(field, one) for one in _several(given))


def weighed(given: Any) -> tuple[tuple[str, float], ...]:
    """LoRA files, each with its weight: 1 where none is given. Raises `InputError` for anything else."""
    if not isinstance(given, str | PathLike | Sequence | Mapping | None):
        raise InputError(f"loras: {given!r:.80} was given; allowed: files, each with its weight")
    return tuple(map(_pair, given.items() if isinstance(given, Mapping) else _several(given)))


def stamp(*places: str | PathLike[str]) -> tuple[tuple[str, int, int], ...]:
    """The files at places and in folders there, when each was written, and its size: equal while none is written anew."""
    found: list[tuple[str, int, int]] = []
    for place in map(Path, places):
        try:
            files = (one for one in (place, *place.rglob("*")) if one.is_file())
            found += [(str(one), (known := one.stat()).st_mtime_ns, known.st_size) for one in files]
        except (OSError, ValueError):  # what reads it says why
            continue
    return tuple(sorted(found))


def _pair(given: Any) -> tuple[str, float]:
    if isinstance(given, str | PathLike):
        return _path("loras", given), 1.0
    if not isinstance(given, Sequence) or len(given) != 2:
        raise InputError(f"loras: {given!r:.80} was given; allowed: a file, or a file and its weight")
    weight = number("lora weight", given[1])
    if not -STRONGEST <= weight <= STRONGEST:
        raise InputError(f"lora weight: {weight:g} was given; allowed: from {-STRONGEST:g} to {STRONGEST:g}")
    return _path("loras", given[0]), weight


def _several(given: Any) -> Sequence[Any]:
    return (given,) if isinstance(given, str | PathLike) else tuple(given or ())


def _path(field: str, given: Any) -> str:
    if not isinstance(given, str | PathLike) or not fspath(given):
        raise InputError(f"{field}: {given!r:.80} was given; allowed: the path of a file")
    return text(field, fspath(given))
