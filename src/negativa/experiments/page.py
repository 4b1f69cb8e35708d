"""Tables on disk: every picture with its receipt, a sheet for each table, and a page to look at them with."""

from __future__ import annotations

import io
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from negativa.errors import OutputError
from negativa.experiments.tables import Cell, Summary, Table
from negativa.language.files import make_folder, write

if TYPE_CHECKING:
    from PIL import Image

TEMPLATES: Final = Path(__file__).parent / "templates"
PICTURES: Final = "pictures"
PAGE: Final = "index.html"
LEAST: Final = 256  # pixels: smaller pictures are enlarged on a sheet, by whole factors, so that its labels can be read
GRAY: Final = (128, 128, 128)


class Album:
    """The folder of an experiment: give it cells as they come, and close it when there are no more.

    Writes `pictures/<table>-<row>-<column>.png` (counted from 1) with receipts inside, `<table>.png` and `index.html`.
    Raises `OutputError` if the folder cannot be written, or holds something and `overwrite` is not set.
    """

    def __init__(self, folder: Path, title: str, overwrite: bool = False) -> None:
        check_folder(folder, overwrite)
        self._folder, self._title, self._overwrite = folder, title, overwrite
        self._cells: dict[tuple[str, int, int], Cell] = {}
        self._sizes: dict[tuple[str, int, int], tuple[int, int]] = {}

    def keep(self, cell: Cell) -> Path | None:
        """Write the picture of a cell; None if it has none. Raises `OutputError` if it cannot be written."""
        from negativa.language import pictures

        there = cell.table.name, cell.row, cell.column
        self._cells[there] = replace(cell, made=replace(cell.made, image=None))  # which is on the disk
        if cell.made.image is None or cell.made.receipt is None:
            return None
        path = self._folder / _file(cell)
        make_folder("out", path.parent)
        pictures.save(path, cell.made.image, cell.made.receipt, self._overwrite)
        self._sizes[there] = cell.made.image.size
        return path

    def left(self) -> list[Path]:
        """The pictures in the folder that are not of this experiment, but of one that was there before."""
        ours = {self._folder / _file(cell) for cell in self._cells.values()}
        return sorted(path for path in (self._folder / PICTURES).glob("*.png") if path not in ours)

    def close(self, tables: list[Table], summary: Summary | None) -> Path | None:
        """Write the sheets and the page of what there is, and say where the page is; None if there is nothing to see.

        Without a summary the page says that not all of it was made.
        """
        from negativa.experiments.sheet import largest

        size = largest(self._sizes.values()) if self._sizes else (LEAST, LEAST)
        begun = [table for table in tables if any(key[0] == table.name for key in self._cells)]
        if not begun:
            return None
        make_folder("out", self._folder)
        for table in begun:
            file = io.BytesIO()
            self._sheet(table, size).save(file, "PNG")
            write("out", self._folder / f"{table.name}.png", file.getvalue())
        page = self._folder / PAGE
        write("out", page, self._page(begun, summary).encode())
        return page

    def _sheet(self, table: Table, size: tuple[int, int]) -> Image.Image:
        from PIL import Image

        from negativa.experiments.sheet import sheet, tagged

        factor = -(-LEAST // max(size))
        drawn: list[list[Image.Image]] = []
        for i in range(len(table.rows)):
            drawn.append([])
            for j in range(len(table.columns)):
                there = table.name, i, j
                made = there in self._sizes
                image = Image.open(self._folder / _file(self._cells[there])) if made else Image.new("RGB", size, GRAY)
                image = image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
                drawn[-1].append(tagged(image, table.tags[i][j]) if table.tags else image)
        return sheet(drawn) if table.tags else sheet(drawn, table.rows if len(table.rows) > 1 else (), table.columns)

    def _page(self, tables: list[Table], summary: Summary | None) -> str:
        from jinja2 import Environment, FileSystemLoader

        cells: list[dict[str, Any]] = []
        shown: list[dict[str, Any]] = []
        for table in tables:
            rows = []
            for i, row in enumerate(table.rows):
                rows.append({"label": row, "cells": []})
                for j, column in enumerate(table.columns):
                    words = _entry(table, row, column, self._cells.get((table.name, i, j)))
                    rows[-1]["cells"].append({"number": len(cells), **words})
                    cells.append(words)
            shown.append({"title": table.title, "sheet": f"{table.name}.png", "columns": table.columns, "rows": rows})
        page = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True)
        page.policies["json.dumps_kwargs"] = {}  # facts in their order, not that of the alphabet
        return page.get_template("page.html").render(title=self._title, tables=shown, cells=cells, summary=summary)


def check_folder(folder: Path, overwrite: bool = False) -> None:
    """Raise `OutputError` if an experiment cannot be written there: worth knowing before the work."""
    try:
        if folder.is_dir():
            if not overwrite and any(folder.iterdir()):
                raise OutputError(f"out: the folder {str(folder)!r} is not empty; allowed: a new one, or --overwrite")
            writable = os.access(folder, os.W_OK)
        elif folder.exists():
            raise OutputError(f"out: {str(folder)!r} is a file; allowed: a folder")
        else:
            if not folder.parent.is_dir():
                raise OutputError(f"out: there is no folder {str(folder.parent)!r}")
            writable = os.access(folder.parent, os.W_OK)
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f"out: {str(folder)!r} cannot be written: {error.strerror}") from error
    if not writable:
        raise OutputError(f"out: the folder {str(folder)!r} cannot be written to")


def _file(cell: Cell) -> str:
    return f"{PICTURES}/{cell.table.name}-{cell.row + 1}-{cell.column + 1}.png"


def _entry(table: Table, row: str, column: str, cell: Cell | None) -> dict[str, Any]:
    """A cell as the page shows it: where its picture is, what it is called, and what made it as pairs of texts."""
    entry: dict[str, Any] = {"name": ", ".join(filter(None, (table.title, column, row))), "file": "", "facts": {}}
    if cell is None or cell.made.receipt is None:
        return entry | {"failure": cell.made.failure if cell else "not made"}
    receipt = cell.made.receipt
    recipe = receipt.recipe
    facts = {name: value for name, value in recipe.to_dict().items() if name != "negative"}
    negatives = [
        (one.text or one.label)
        + (f" (weight {one.weight:g}, {one.start:g} to {one.stop:g})" if one != type(one)(one.condition, keep=one.keep) else "")
        for one in recipe.negative
    ]
    facts = {"prompt": recipe.prompt, "negative": "\n".join(negatives) or "none"} | facts
    facts |= {"window": "{:g} to {:g}".format(*recipe.window), "recipe hash": recipe.hash}
    facts |= {"rows asked": receipt.rows_asked, "rows run": receipt.rows_run, "device": f"{receipt.device}, {receipt.dtype}"}
    if receipt.notices:
        facts["notices"] = "\n".join(receipt.notices)
    return entry | {"file": _file(cell), "facts": {name: str(value) for name, value in facts.items()}, "failure": ""}
