"""What can go wrong, said in a sentence that names the field, what was given and what is allowed."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class NegativaError(Exception):
    """Anything this package refuses or fails to do; its text is one sentence for a person."""


class InputError(NegativaError, ValueError):
    """What was given cannot be used as it is."""


class ModelError(NegativaError):
    """A model could not be found, read or run."""


class OutputError(NegativaError, OSError):
    """A picture or file could not be written."""


def nearest(given: str, allowed: Iterable[str]) -> str:
    """The end of a sentence about an unknown name: the nearest allowed one, and all of them."""
    names = list(allowed)
    close = get_close_matches(given, names, n=1)
    guess = f"did you mean {close[0]!r}? " if close else ""
    return f"{guess}allowed: {', '.join(names)}"
