"""What a person sees while work goes on: bars and words on standard error, so that output stays clean."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from negativa.studio import Result, Stepped
    from negativa.training.progress import Progress as Trained

T = TypeVar("T")


def say(text: str) -> None:
    """A line for the person, not for a pipe."""
    print(text, file=sys.stderr, flush=True)


def progress(events: Iterable[Stepped | Result], total: int) -> Iterator[Stepped | Result]:
    """Hand events on, with a bar over all steps of `total` pictures."""
    from rich.console import Console
    from rich.progress import Progress

    from negativa.studio import Stepped

    console = Console(stderr=True)
    with Progress(console=console, transient=True, redirect_stdout=False, disable=not console.is_terminal) as bar:
        task = bar.add_task("drawing", total=None)
        for event in events:
            if isinstance(event, Stepped):
                bar.update(task, advance=1, total=total * event.steps)
            yield event


def parts(events: Iterable[T | Trained]) -> Iterator[T | Trained]:
    """Hand the events of a training on, with a bar for each of its parts: how far it is, the time left, loss and rate."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    from negativa.training.progress import Progress as Trained

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    words = TextColumn("{task.fields[words]}")
    bars = Progress(*columns, words, console=Console(stderr=True), redirect_stdout=False, redirect_stderr=False)
    tasks: dict[str, TaskID] = {}
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
            yield now
    finally:
        if tasks:  # one that never started would leave a blank line
            bars.stop()
