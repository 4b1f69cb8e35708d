"""Pictures made by several processes of this machine."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import TYPE_CHECKING, Unpack, cast

from negativa.experiments.chunks import Crew, Died, settle
from negativa.experiments.making import Here, Made, make
from negativa.plain.knobs import whole
from negativa.plain.recipe import Recipe

if TYPE_CHECKING:
    from negativa.studio import Loading


@dataclass(eq=False)
class Process:
    """One of the processes, and the pipe to it."""

    process: SpawnProcess
    connection: Connection


class Processes(Crew[Process]):
    """Makes pictures in `workers` processes (1 to 256), each with its share of the cores and its own copy of the models.

    They share one device; `loading` are arguments of `negativa.load`. Close it, or use it in a `with`, when no more pictures
    are wanted. A script that uses it does its work under `if __name__ == "__main__"`, since
    every process imports the script again. Raises `InputError` for a number of workers out of range.
    """

    def __init__(self, workers: int, **loading: Unpack[Loading]) -> None:
        super().__init__(whole("workers", workers, 1, 256))
        self._loading = loading

    def _start(self) -> Process:
        spawn = multiprocessing.get_context("spawn")
        ours, theirs = spawn.Pipe()
        threads = max(1, _cores() // self.size)
        process = spawn.Process(target=_work, args=(theirs, threads, self._loading), name="negativa-worker", daemon=True)
        with _deaf_to_interrupts():
            process.start()
        theirs.close()  # from here on its end is our end of file
        return Process(process, ours)

    def _give(self, worker: Process, todo: dict[int, Recipe]) -> None:
        with suppress(ConnectionError):
            worker.connection.send(todo)

    def _hear(self) -> Iterator[tuple[Process, Made | Died | None]]:
        known = {worker.connection: worker for worker in (*self._starting, *self._idle, *self._busy)}
        for connection in wait(list(known)):
            worker = known[cast(Connection, connection)]
            try:
                news = worker.connection.recv()
            except (EOFError, OSError):  # OSError if it died in the middle of a message
                worker.process.join()
                news = Died(_how(worker.process.exitcode or 0))
            yield worker, news

    def _end(self, worker: Process) -> None:
        worker.connection.close()
        worker.process.kill()
        worker.process.join()
        worker.process.close()


def _work(connection: Connection, threads: int, loading: Loading) -> None:
    """The life of a process: chunk after chunk, until the other end of the pipe is closed."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    settle(threads)
    here = Here(**loading)
    with suppress(EOFError, ConnectionError):
        connection.send(None)
        while True:
            for made in make(here, connection.recv()):
                connection.send(made)
            connection.send(None)


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Processes started in here never hear of Ctrl-C, from their first moment: what follows from it is ours to say."""
    if os.name != "posix":
        yield
        return
    resource_tracker.ensure_running()  # its start would undo the mask
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _how(status: int) -> str:
    if status >= 0:
        return f"it ended with status {status}"
    kind = signal.Signals(-status)
    return f"it was killed by {kind.name}" + (", as happens when memory runs out" if kind is signal.SIGKILL else "")


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
