"""Losses kept while training goes on: a table, and what TensorBoard draws."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from negativa.errors import OutputError
from negativa.language.files import whole
from negativa.training.progress import Progress

HEAD: Final = ["step", "loss", "seconds"]
BOARD: Final = "events.out.tfevents.losses"


def logged(events: Iterator[Progress], file: Path) -> Generator[Progress, None, None]:
    """Hand events on, and write the loss of each to a CSV file: step, loss, and seconds since this run began.

    Beside it a file of TensorBoard's events has the losses too. What an earlier run wrote of steps that are taken again is
    replaced, what it wrote before them is kept, also on a full disk. Whatever ends the listening ends the events too. Raises
    `OutputError` if the losses cannot be written.
    """
    started, log = time.monotonic(), None
    try:
        for now in events:
            with _said(file):
                log = log or _Log(file, now.step)
                log.write([now.step, now.loss, round(time.monotonic() - started, 3)])
            yield now
    finally:
        events.close()  # type: ignore[attr-defined]
        if log is not None:
            with _said(file):
                log.close()


def last_step(file: Path) -> int:
    """The last step that such a table knows of, 0 without one."""
    return max((int(row[0]) for row in _rows(file)), default=0)


def _rows(file: Path) -> list[list[str]]:
    rows = list(csv.reader(file.read_text().splitlines()))[1:] if file.exists() else []
    return [row for row in rows if len(row) == len(HEAD)]


class _Log:
    """Both files, open behind the steps before this one. Written at once: TensorBoard's own writer fails in a thread."""

    def __init__(self, file: Path, step: int) -> None:
        kept, board = [row for row in _rows(file) if int(row[0]) < step], file.with_name(BOARD)
        with whole(file) as table:
            table.write(_lines([HEAD, *kept]))
        with whole(board) as events:
            events.write(_records([Event(wall_time=time.time(), file_version="brain.Event:2"), *map(_event, kept)]))
        self._table, self._board = file.open("ab"), board.open("ab")

    def write(self, row: list) -> None:
        for one, content in ((self._table, _lines([row])), (self._board, _records([_event(row)]))):
            one.write(content)
            one.flush()

    def close(self) -> None:
        for one in (self._table, self._board):
            one.close()


def _lines(rows: Iterable[list]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _event(row: list) -> Event:
    value = Summary.Value(tag="loss", simple_value=float(row[1]))
    return Event(wall_time=time.time(), step=int(row[0]), summary=Summary(value=[value]))


def _records(events: Iterable[Event]) -> bytes:
    written = io.BytesIO()
    for event in events:
        RecordWriter(written).write(event.SerializeToString())
    return written.getvalue()


@contextmanager
def _said(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(f"folder: the losses in {str(file)!r} could not be written: {error.strerror or error}") from error
