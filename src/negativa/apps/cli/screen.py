"""What a person sees while work goes on: bars and words on standard error, so that output stays clean; and tables on it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn

    from negativa.experiments.studying import Event
    from negativa.studio import Result, Stepped
    from negativa.training.progress import Progress as Trained

T = TypeVar("T")
TENTHS: Final = 10


def say(text: str) -> None:
    """A line for the person, not for a pipe."""
    print(text, file=sys.stderr, flush=True)


def say_all(notices: Iterable[str], failures: Iterable[str]) -> None:
    """What had no effect, and what could not be done, a line each."""
    for sentence in (*(f"notice: {one}" for one in notices), *(f"failed: {one}" for one in failures)):
        say(sentence)


@contextmanager
def interruption(kept: Callable[[], str]) -> Iterator[None]:
    """On Ctrl-C, a line that says what is kept and how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        say(f"interrupted; {kept()}")
        raise


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Rows on standard output, their cells under one another."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def progress(events: Iterable[Stepped | Result], total: int) -> Iterator[Stepped | Result]:
    """Hand events on, with a bar over all steps of `total` pictures."""
    from rich.progress import TaskProgressColumn, TimeRemainingColumn

    from negativa.studio import Stepped

    with _bars(TaskProgressColumn(), TimeRemainingColumn()) as bar:
        task = bar.add_task("drawing", total=None)
        for event in events:
            if isinstance(event, Stepped):
                bar.update(task, advance=1, total=total * event.steps)
            yield event


def counted(events: Iterable[T], total: int | None, kind: type) -> Iterator[T]:
    """Hand events on, with a bar that counts those of a kind."""
    from rich.progress import MofNCompleteColumn, TimeElapsedColumn

    with _bars(MofNCompleteColumn(), TimeElapsedColumn()) as bar:
        task = bar.add_task("pictures", total=total)
        for event in events:
            if isinstance(event, kind):
                bar.advance(task)
            yield event


@contextmanager
def parts(events: Iterable[T | Trained]) -> Iterator[Iterator[T | Trained]]:
    """The events of a training, with a bar for each of its parts: how far it is, the time left, loss and rate.

    Where there is no terminal for bars, a line is said after every tenth of a part. On Ctrl-C, wherever it comes, one says
    what is kept.
    """
    kept = "what was finished is kept; run it again to go on"
    with interruption(lambda: kept), closing(_with_bars(events)) as shown:
        yield shown


def _with_bars(events: Iterable[T | Trained]) -> Generator[T | Trained, None, None]:
    """The events, handed on while the bars are there."""
    from rich.progress import MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn

    from negativa.training.progress import Progress as Trained

    columns = MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.fields[words]}")
    bars, tasks, told = _bars(*columns, always=True), dict[str, TaskID](), dict[str, int]()
    try:
        for now in events:
            if isinstance(now, Trained):
                bars.start()
                if now.part not in tasks:
                    tasks[now.part] = bars.add_task(now.part, completed=now.step, total=now.steps, words="")
                speed = bars.tasks[tasks[now.part]].speed
                said = [f"loss {now.loss:.4f}"] if now.loss is not None else []
                said += [f"{speed:.2f} a second"] if speed else []
                bars.update(tasks[now.part], completed=now.step, total=now.steps, words=", ".join(said))
                tenth = TENTHS * now.step // now.steps if now.steps else 0
                if not bars.console.is_terminal and tenth > told.get(now.part, 0):
                    told[now.part] = tenth
                    say(", ".join([f"{now.part} {now.step} of {now.steps}", *said]))
            yield now
    finally:
        if tasks:  # one that never started would leave a blank line
            bars.stop()


def studied(events: Iterable[Event]) -> Iterator[Event]:
    """Hand the events of a study on, with bars that show what is done, how fast, and what time is left."""
    from rich.progress import MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    from negativa.experiments.studying import Begun, Drawn, Failed, Finished, Scored

    columns = MofNCompleteColumn(), TextColumn("{task.fields[rate]}"), TimeElapsedColumn(), TimeRemainingColumn()
    with _bars(*columns, always=True) as bar:
        drawing, scoring = bar.add_task("pictures", total=None, rate=""), bar.add_task("scores", rate="", visible=False)
        began, fresh, failed = time.monotonic(), 0, 0
        for event in events:
            match event:
                case Begun(pictures, done):
                    bar.update(drawing, total=pictures, completed=done)
                case Drawn(_, done, pictures):
                    fresh += 1
                    rate_now = fresh / (time.monotonic() - began)
                    bar.update(drawing, completed=done + failed, total=pictures, rate=f"{rate_now:.2f} a second")
                case Failed(failure) if failure.seed is not None:
                    failed += 1
                    bar.advance(drawing)
                case Failed():  # a measure
                    bar.advance(scoring)
                case Scored(_, _, done, total):
                    bar.update(scoring, completed=done, total=total, visible=True)
                case Finished():
                    bar.stop()  # what follows is for standard output
                case _:
                    pass
            yield event


def _bars(*columns: ProgressColumn, always: bool = False) -> Progress:
    """Bars with these columns beside them, which stay when all is done if they are `always` there, also without a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    console, usual = Console(stderr=True), (TextColumn("{task.description}"), BarColumn())
    hidden = not (always or console.is_terminal)
    return Progress(*usual, *columns, console=console, transient=not always, redirect_stdout=False, disable=hidden)
