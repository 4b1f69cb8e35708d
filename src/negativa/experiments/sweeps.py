"""Sweeps: the recipe at every combination of values along any number of axes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from math import prod
from typing import Final

from negativa.errors import InputError
from negativa.experiments.axes import Axis, combine, parse_axis
from negativa.experiments.making import Maker
from negativa.experiments.tables import Cell, Summary, Table, check_each_once, fill
from negativa.plain.recipe import Recipe

MOST: Final = 100_000  # cells of one sweep


def sweep(
    prompt: str | Recipe, axes: Sequence[Axis | str], seeds: Sequence[int] = (), make: Maker | None = None
) -> Iterator[Cell | Summary]:
    """Each cell of a sweep as its picture is finished, a summary at the end. See `lay_sweep` and `fill`."""
    return fill(lay_sweep(prompt, axes, seeds), make)


def lay_sweep(prompt: str | Recipe, axes: Sequence[Axis | str], seeds: Sequence[int] = ()) -> list[Table]:
    """The tables of a sweep: the first axis across, the second down, one table for each seed and each combination of the rest.

    An axis may be given as it is written (see `axes`). `seeds` are the recipe's own if there are none.
    Raises `InputError` for no axes, a bad one, one that changes nothing, a seed given twice, or seeds beside an axis of them.
    """
    if not axes:
        raise InputError("axis: none was given; allowed: one or more, as in scale=1,2,5")
    base = prompt if isinstance(prompt, Recipe) else Recipe(prompt)
    known = [axis if isinstance(axis, Axis) else parse_axis(axis) for axis in axes]
    by_seed = any(axis.name == "seed" for axis in known)
    if seeds and by_seed:
        raise InputError(f"seed: {seeds[0]} was given beside an axis of seeds; allowed: one of the two")
    check_each_once("seed", seeds or (base.seed,))
    if (cells := prod(len(axis.values) for axis in known) * max(1, len(seeds))) > MOST:
        raise InputError(f"axis: {cells} pictures were asked for; allowed: at most {MOST}")
    found = combine(base, known)
    columns, *others = known
    rows, paged = (others[0], others[1:]) if others else (None, [])
    tables: list[Table] = []
    for seed in seeds or (base.seed,):
        for page, rest in enumerate(product(*(range(len(axis.values)) for axis in paged)), 1):
            words = [] if by_seed else [f"seed {seed}"]
            words += [axis.headings[i] for axis, i in zip(paged, rest, strict=True)]
            name = "sweep" + ("" if by_seed else f"-{seed}") + (f"-{page}" if paged else "")
            down = [(i,) for i in range(len(rows.values))] if rows else [()]
            laid = [[found[(column, *row, *rest)] for column in range(len(columns.values))] for row in down]
            if not by_seed:
                laid = [[recipe.replace(seed=seed) for recipe in row] for row in laid]
            tables.append(
                Table(
                    name=name,
                    title=", ".join(words) or "sweep",
                    rows=rows.headings if rows else ("",),
                    columns=columns.headings,
                    recipes=tuple(map(tuple, laid)),
                )
            )
    return tables
