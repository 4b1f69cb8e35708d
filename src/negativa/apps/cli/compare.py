"""What `grid`, `sweep` and `ablate` have in common: recipes, folders, and filling tables under a bar."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from negativa.apps.cli.screen import counted, interruption, say, say_all
from negativa.errors import NegativaError

if TYPE_CHECKING:
    from negativa.experiments.making import Here
    from negativa.experiments.tables import Table


def seeds_of(given: list[int] | None) -> list[int]:
    """The seeds that were given, or one drawn by lot."""
    return given or [secrets.randbelow(2**32)]


def folder_of(verb: str, prompt: str, out: Path | None, overwrite: bool) -> Path:
    """Where to write; a name that we make up steps aside for a folder that is there. Raises `OutputError`."""
    from negativa.experiments.page import check_folder

    name = "-".join([verb, *re.findall(r"\w+", prompt.lower())])[:60]
    folder, number = out or Path(name), 1
    while out is None and folder.exists() and not overwrite:
        number += 1
        folder = Path(f"{name}-{number}")
    check_folder(folder, overwrite)
    return folder


def kept(there: Path | None) -> str:
    """The end of a sentence about work that was not finished: what is left of it, if anything, and how to go on."""
    if there is None:
        return "nothing was finished; run it again"
    return f"what was finished is in {there}; to make all of it, run it again into a new folder or with --overwrite"


def fill_tables(tables: list[Table], make: Here, folder: Path, title: str, overwrite: bool, notices: Iterable[str]) -> None:
    """Make the cells, write the album, say what it cost; whatever ends it, what is finished is written.

    Ends with status 1 if a cell has no picture.
    """
    from negativa.experiments.page import Album
    from negativa.experiments.tables import Cell, Summary, fill

    album, summary, page = Album(folder, title, overwrite), None, None
    with interruption(lambda: kept(page)):
        try:
            for event in counted(fill(tables, make), sum(len(row) for table in tables for row in table.recipes), Cell):
                if isinstance(event, Summary):
                    summary = event
                else:
                    album.keep(event)
        except NegativaError:
            if (page := album.close(tables, None)) is not None:
                say(f"broken off; {kept(page)}")
            raise
        finally:
            page = page or album.close(tables, summary)
    assert summary is not None
    left = [f"{len(before)} pictures of an earlier run stay beside them, as {before[0]}"] if (before := album.left()) else []
    say_all((*notices, *summary.notices, *left), summary.failures)
    for table in tables:
        print(folder / f"{table.name}.png")
    print(f"{page}  {summary.cells} cells, {summary.rows_asked} rows asked, {summary.rows_run} run, {summary.seconds:.1f} s")
    if summary.failures:
        raise typer.Exit(1)
