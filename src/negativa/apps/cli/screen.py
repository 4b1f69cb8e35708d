"""What a person sees while work goes on: bars and words on standard error, so that output stays clean."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from negativa.studio import Result, Stepped

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
