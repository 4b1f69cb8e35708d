"""Losses kept while training goes on: a table, and what TensorBoard draws."""

from __future__ import annotations

import csv
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from negativa.errors import OutputError
from negativa.training.progress import Progress

HEAD = ["step", "loss", "seconds"]


def logged(events: Iterator[Progress], file: Path) -> Generator[Progress, None, None]:
    """Hand events on, and write the loss of each to a CSV file: step, loss, and seconds since this run began.

    Beside it, the folder `tensorboard` holds the losses as TensorBoard's events. What an earlier run wrote of steps that are
    taken again is replaced. Whatever ends the listening ends the events too. Raises `OutputError` if they cannot be written.
    """
    started, table, board = time.monotonic(), None, None
    try:
        for now in events:
            with _said(file):
                if table is None or board is None:
                    table = _continued(file, now.step)
                    board = SummaryWriter(str(file.parent / "tensorboard"), purge_step=now.step)
                csv.writer(table).writerow([now.step, now.loss, round(time.monotonic() - started, 3)])
                table.flush()
                board.add_scalar("loss", now.loss, now.step)
            yield now
    finally:
        events.close()  # type: ignore[attr-defined]
        with _said(file):
            for log in (table, board):
                if log is not None:
                    log.close()


@contextmanager
def _said(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(f"folder: the losses in {str(file)!r} could not be written: {error.strerror or error}") from error


def _continued(file: Path, step: int):
    """The file, open behind the steps before this one."""
    rows = list(csv.reader(file.read_text().splitlines())) if file.exists() else []
    kept = [row for row in rows[1:] if len(row) == len(HEAD) and int(row[0]) < step]
    table = file.open("w", newline="")
    csv.writer(table).writerows([HEAD, *kept])
    return table
