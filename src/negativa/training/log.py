"""Losses kept in a table while training goes on."""

from __future__ import annotations

import csv
import time
from collections.abc import Iterator
from pathlib import Path

from negativa.training.progress import Progress

HEAD = ["step", "loss", "seconds"]


def logged(events: Iterator[Progress], file: Path) -> Iterator[Progress]:
    """Hand events on, and write the loss of each to a CSV file: step, loss, and seconds since this run began.

    What an earlier run wrote of steps that are taken again is replaced. Whatever ends the listening ends the events too.
    """
    started, table = time.monotonic(), None
    try:
        for now in events:
            if table is None:
                table = _continued(file, now.step)
            csv.writer(table).writerow([now.step, now.loss, round(time.monotonic() - started, 3)])
            table.flush()
            yield now
    finally:
        if table is not None:
            table.close()
        events.close()  # type: ignore[attr-defined]


def last_step(file: Path) -> int:
    """The last step that such a table knows of."""
    return max((int(row[0]) for row in _rows(file)), default=0)


def _rows(file: Path) -> list[list[str]]:
    rows = list(csv.reader(file.read_text().splitlines()))[1:] if file.exists() else []
    return [row for row in rows if len(row) == len(HEAD)]


def _continued(file: Path, step: int):
    """The file, open behind the steps before this one."""
    kept = [row for row in _rows(file) if int(row[0]) < step]
    table = file.open("w", newline="")
    csv.writer(table).writerows([HEAD, *kept])
    return table
