"""Windows: the share of the steps in which something acts."""

from __future__ import annotations

from typing import Final

from negativa.errors import InputError
from negativa.plain.knobs import number

#: Published windows for what a negative names (Ban et al. 2024, arXiv 2406.02965: steps 5 and 10 of 30, to the middle).
WINDOWS: Final[dict[str, tuple[float, float]]] = {"noun": (5 / 30, 0.5), "adjective": (10 / 30, 0.5)}


def inside(step: int, steps: int, start: float, stop: float) -> bool:
    """Whether step `step` of `steps` (counted from 0) lies in the half-open window [start, stop)."""
    return start <= step / steps < stop


def window(given: object) -> tuple[float, float]:
    """Start and stop of a window: two numbers, a text START:STOP, or a name of `WINDOWS`.

    Raises `InputError` for anything else, and unless 0 <= start <= stop <= 1.
    """
    if isinstance(given, str) and given in WINDOWS:
        return WINDOWS[given]
    try:
        start, stop = map(float, given.split(":")) if isinstance(given, str) else given  # type: ignore[misc]
    except (TypeError, ValueError) as error:
        names = ", ".join(WINDOWS)
        raise InputError(
            f"window: {given!r} was given; allowed: START:STOP, as in 0.2:0.8, two numbers, or one of {names}"
        ) from error
    start, stop = number("window", start), number("window", stop)
    check_window("window", start, stop)
    return start, stop


def check_window(field: str, start: float, stop: float) -> None:
    """Raise `InputError` unless 0 <= start <= stop <= 1."""
    if not 0 <= start <= stop <= 1:
        raise InputError(f"{field} start and stop: {start:g} and {stop:g} were given; allowed: 0 <= start <= stop <= 1")
