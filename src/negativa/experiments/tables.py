"""Tables: recipes laid out in rows and columns, and filled with pictures as they are made."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from negativa import rules
from negativa.errors import InputError
from negativa.experiments.alike import Looks
from negativa.experiments.making import Here, Made, Maker
from negativa.experiments.sheet import Tag
from negativa.plain.recipe import Recipe


@dataclass(frozen=True)
class Table:
    """Recipes in rows and columns, with a label for each row and each column.

    `name` is unique among tables made together and fit for a file. `tags`, if there are any, are drawn into the cells.
    """

    name: str
    title: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    recipes: tuple[tuple[Recipe, ...], ...]
    tags: tuple[tuple[tuple[Tag, ...], ...], ...] = ()


@dataclass(frozen=True)
class Cell:
    """A place in a table, counted from 0, and what was made for it."""

    table: Table
    row: int
    column: int
    made: Made


@dataclass(frozen=True)
class Summary:
    """What it took to fill tables, all cells together.

    `rows_asked` counts the network rows the cells needed, `rows_run` those that were run: cells share. `seconds` is the
    whole time. `notices` are those of all receipts, and of cells that came to one picture though their recipes differ;
    `failures` the sentences of cells without a picture, each once.
    """

    cells: int
    rows_asked: int
    rows_run: int
    seconds: float
    notices: tuple[str, ...]
    failures: tuple[str, ...]


def check_each_once(field: str, values: Sequence[object]) -> None:
    """Raise `InputError` if there are no values, or one comes twice."""
    if not values:
        raise InputError(f"{field}: none was given; allowed: one or more")
    for i, value in enumerate(values):
        if value in values[:i]:
            raise InputError(f"{field}: {value!r} was given twice; allowed: each once")


def fill(tables: Sequence[Table], make: Maker | None = None) -> Iterator[Cell | Summary]:
    """Every cell as its picture is finished, in any order, and a summary at the end; equal recipes are made once.

    Everything is asked for together, so that what cells share is done once. `make` is `Here()` if None.
    Raises `InputError` or `ModelError`, before any work, for a recipe that cannot be carried out here; with another
    maker its cells fail.
    """
    make = Here() if make is None else make
    places: dict[Recipe, list[tuple[Table, int, int]]] = {}
    for table in tables:
        for i, row in enumerate(table.recipes):
            for j, recipe in enumerate(row):
                places.setdefault(recipe, []).append((table, i, j))
    for recipe in places:
        make.studio(recipe.model).complete(recipe) if isinstance(make, Here) else rules.build(recipe)
    return _filled(places, make)


def _filled(places: dict[Recipe, list[tuple[Table, int, int]]], make: Maker) -> Iterator[Cell | Summary]:
    started, cells, asked, run = time.perf_counter(), 0, 0, 0
    notices: dict[str, None] = {}
    failures: dict[str, None] = {}
    looks, recipes = Looks(), list(places)
    for made in make(recipes):
        recipe = recipes[made.index]
        if made.receipt is None or made.image is None:
            failures[made.failure] = None
        else:
            run += made.receipt.rows_run
            notices |= dict.fromkeys(made.receipt.notices)
            looks.keep(recipe, made.image)
        for table, row, column in places[recipe]:
            cells += 1
            asked += made.receipt.rows_asked if made.receipt else 0
            yield Cell(table, row, column, made)
    notices |= dict.fromkeys(_said_of_same(places, looks))
    yield Summary(cells, asked, run, round(time.perf_counter() - started, 3), tuple(notices), tuple(failures))


def _said_of_same(places: dict[Recipe, list[tuple[Table, int, int]]], looks: Looks) -> Iterator[str]:
    """A sentence about cells that came to one picture though their recipes differ."""
    if pairs := list(looks.same(places)):
        one, other = (_called(*places[recipe][0]) for recipe in pairs[0])
        more = f" ({len(pairs) - 1} more like it)" if len(pairs) > 1 else ""
        yield f"the picture of {one} is that of {other}{more}: what differs between them has no effect there"


def _called(table: Table, row: int, column: int) -> str:
    """A cell by its headings."""
    return f"“{', '.join(filter(None, (table.columns[column], table.rows[row], table.title)))}”"
