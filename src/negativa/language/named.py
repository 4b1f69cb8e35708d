"""Negatives by name: "@sd2-universal" stands for a list that many people use.

Some come with the package (negatives.toml), each with where it is from and the models it was written for; a person's own stand
in a file like that one.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from negativa.errors import InputError, nearest
from negativa.plain.knobs import text

MARK: Final = "@"
OURS: Final = Path(__file__).with_name("negatives.toml")


@dataclass(frozen=True)
class Named:
    """A negative with a name: its `text`, where it is from, and the models it was written for."""

    text: str
    source: str = ""
    models: str = ""


def own() -> Path:
    """The file of a person's own, which come before the package's."""
    from typer import get_app_dir

    return Path(get_app_dir("negativa")) / "negatives.toml"


def expand(written: str) -> str:
    """The text that is meant: that of a name where `written` is "@" and a name, else as it stands.

    Raises `InputError` for an unknown name.
    """
    if not written.startswith(MARK):
        return written
    known, name = library(own()), written.removeprefix(MARK).strip()
    if name not in known:
        raise InputError(f"negative: there is no named negative {name!r}; {nearest(name, known)}")
    return known[name].text


def library(own: Path | None = None) -> dict[str, Named]:
    """The package's named negatives, and those of a person's `own` file. Raises `InputError` if one cannot be understood."""
    return read(OURS) | (read(own) if own else {})


def read(file: Path) -> dict[str, Named]:
    """The named negatives of a file; none if there is no such file. Raises `InputError` if it cannot be understood."""
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise InputError(f"negatives: {str(file)!r} could not be read: {error}") from error
    found: dict[str, Named] = {}
    for name, table in tables.items():
        if not isinstance(table, Mapping) or set(table) - {"text", "source", "models"} or "text" not in table:
            raise InputError(f"negatives: {name!r} in {str(file)!r} is {table!r}; allowed: a table of text, source and models")
        found[name] = Named(**{key: text(f"negatives: {name} {key}", value) for key, value in table.items()})
    return found
