"""`negativa grid`: additions to the prompt across, negatives down, the same noise in every cell."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import typer

from negativa.apps.cli import compare, options
from negativa.apps.cli.flat import flat
from negativa.apps.cli.settings import Machine, Settings
from negativa.errors import InputError
from negativa.language.negatives import parse_negative
from negativa.plain.recipe import Recipe


@flat
def grid(
    *,
    prompt: options.Prompt,
    seed: options.Seeds = None,
    column: Annotated[
        list[str] | None,
        typer.Option(metavar="LABEL=TEXT", help="A text to append to the prompt; may be repeated, no text is none."),
    ] = None,
    row: Annotated[
        list[str] | None,
        typer.Option(metavar="LABEL=TEXT[:WEIGHT[:START:STOP]]", help="A negative; may be repeated, no text is none."),
    ] = None,
    placebo: Annotated[str | None, typer.Option(help="Add a word that means nothing as a row, column or both.")] = None,
    settings: Settings,
    out: options.Out = None,
    overwrite: options.Overwrite = False,
    machine: Machine,
) -> None:
    """Lay out additions and negatives: negativa grid "an armchair in the shape of an avocado" --seed 59049"""
    from negativa.experiments.grids import COLUMNS, ROWS, Addition, lay_grid
    from negativa.experiments.making import Here

    def additions(field: str, given: list[str] | None) -> Iterator[tuple[str, str]]:
        for text in given or ["original="]:
            label, mark, added = text.partition("=")
            if not mark:
                raise InputError(f"{field}: {text!r} was given; allowed: LABEL=TEXT, as in PROMPT=sharp focus")
            yield label.strip(), added.strip()

    def negatives() -> Iterator[Addition]:
        for label, text in additions("row", row):
            one = parse_negative(text)
            yield Addition(label, one.text, one.weight, one.start, one.stop)

    base = Recipe(prompt, **settings.fields())
    rows, columns = ROWS, COLUMNS
    if row or column:
        rows, columns = tuple(negatives()), tuple(Addition(*one) for one in additions("column", column))
    tables = lay_grid(base, compare.seeds_of(seed), rows, columns, placebo)  # type: ignore[arg-type]
    folder = compare.folder_of("grid", prompt, out, overwrite)
    make = Here(**machine.loading)
    compare.fill_tables(tables, make, folder, f"Grid: {prompt}", overwrite, machine.unread(base))
