"""Grids: additions to the prompt across, negatives down, the same noise in every cell.

The default is the three by three of Max Woolf, "Stable Diffusion 2.0 and the Importance of Negative Prompts for Good
Results" (2022). There the step noise was one draw for a whole row of pictures, so that cells of a row had different
noise; here noise comes from the seed alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from negativa.errors import InputError
from negativa.experiments.making import Maker
from negativa.experiments.sheet import Tag
from negativa.experiments.tables import Cell, Summary, Table, check_each_once, fill
from negativa.plain.conditions import Negative
from negativa.plain.recipe import Recipe


@dataclass(frozen=True)
class Addition:
    """A label and the text it stands for, "" for none; `weight`, `start` and `stop` are those of a row's negative.

    Raises `InputError` for an empty label.
    """

    label: str
    text: str
    weight: float = 1.0
    start: float = 0.0
    stop: float = 1.0

    def __post_init__(self) -> None:
        if not self.label.strip():
            raise InputError(f"label: {self.label!r} was given; allowed: LABEL=TEXT, with a label to show")

    @property
    def negative(self) -> Negative | None:
        """What a row steers away from, if anything."""
        return Negative(self.text, self.weight, self.start, self.stop) if self.text else None


COLUMNS: Final = (
    Addition("original", ""),
    Addition(
        "prompt",
        "hyper-detailed and intricate, realistic shaded, fine detail, realistic proportions, symmetrical, sharp focus, "
        "8K resolution",
    ),
    Addition("<token>", "in the style of <midjourney>"),
)
ROWS: Final = (
    Addition("original", ""),
    Addition("prompt", "ugly, boring, bad anatomy"),
    Addition("<token>", "in the style of <wrong>"),
)
PLACEBO: Final = Addition("placebo", "in the style of zorvelquint")  # a word that no caption ever held


def grid(
    prompt: str | Recipe,
    seeds: Sequence[int] = (0,),
    rows: Sequence[Addition] = ROWS,
    columns: Sequence[Addition] = COLUMNS,
    placebo: Literal["row", "column", "both"] | None = None,
    make: Maker | None = None,
) -> Iterator[Cell | Summary]:
    """A grid for each seed: each cell as its picture is finished, a summary at the end. See `lay_grid` and `fill`."""
    return fill(lay_grid(prompt, seeds, rows, columns, placebo), make)


def lay_grid(
    prompt: str | Recipe,
    seeds: Sequence[int] = (0,),
    rows: Sequence[Addition] = ROWS,
    columns: Sequence[Addition] = COLUMNS,
    placebo: Literal["row", "column", "both"] | None = None,
) -> list[Table]:
    """The grids of a prompt, or of a recipe where other settings matter.

    A column's text is appended to the prompt after a comma, a row's is the negative. `placebo` adds a row, a column or
    both with a word that means nothing.
    Raises `InputError` if there is nothing in a row or column, a label or seed comes twice, or the recipe has a negative.
    """
    base = prompt if isinstance(prompt, Recipe) else Recipe(prompt)
    if base.negative:
        raise InputError("negative: the recipe of a grid has none; allowed: rows, each with its negative")
    if placebo not in (None, "row", "column", "both"):
        raise InputError(f"placebo: {placebo!r} was given; allowed: row, column, both")
    for field, given in (("row", rows), ("column", columns)):
        if placebo in (field, "both") and PLACEBO.label in [one.label for one in given]:
            raise InputError(
                f"{field}: {PLACEBO.label!r} is what the {field} is called that placebo adds; allowed: another label"
            )
    rows = (*rows, PLACEBO) if placebo in ("row", "both") else tuple(rows)
    columns = (*columns, PLACEBO) if placebo in ("column", "both") else tuple(columns)
    for field, values in (("row", [one.label for one in rows]), ("column", [one.label for one in columns]), ("seed", seeds)):
        check_each_once(field, values)
    return [
        Table(
            name=f"grid-{seed}",
            title=f"seed {seed}",
            rows=tuple(_heading(one, "−") for one in rows),
            columns=tuple(_heading(one, "+") for one in columns),
            recipes=tuple(
                tuple(
                    base.replace(prompt=", ".join(filter(None, (base.prompt, column.text))), negative=row.negative, seed=seed)
                    for column in columns
                )
                for row in rows
            ),
            tags=tuple(tuple(_tags(row, column) for column in columns) for row in rows),
        )
        for seed in seeds
    ]


def _heading(one: Addition, sign: str) -> str:
    return f"{one.label}: {sign} {one.text}" if one.text else one.label


def _tags(row: Addition, column: Addition) -> tuple[Tag, ...]:
    tags = [Tag(column.label, "positive")] if column.text else []
    tags += [Tag(row.label, "negative")] if row.text else []
    return tuple(tags) or (Tag("original"),)
