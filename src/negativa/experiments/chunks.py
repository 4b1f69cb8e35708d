"""Recipes made by several workers: what goes to a worker together, and what becomes of it if the worker dies."""

from __future__ import annotations

import math
import os
import warnings
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Generic, Self, TypeVar

from negativa.errors import NegativaError
from negativa.experiments.making import Made
from negativa.plain.recipe import Recipe

MOST: Final = 32  # recipes of a chunk: of two passes each, they fill the engine's largest call
FEW: Final = 12  # recipes below which the engine's calls are small and dear
TURNS: Final = 4  # chunks for each worker, if none gets few, so that all of them end at about the same time
DEATHS: Final = 3  # workers that one chunk may cost, and that may die one after another before they are ready

Worker = TypeVar("Worker")


@dataclass
class Chunk:
    """Recipes for one worker: `todo` are those not yet told of, by index, and `deaths` the workers they have cost."""

    todo: dict[int, Recipe]
    deaths: int = 0

    def halves(self) -> list[Chunk]:
        """What is left, in two parts, after one more death: a recipe that kills its workers takes few others along."""
        left = list(self.todo.items())
        parts = (left[: (len(left) + 1) // 2], left[(len(left) + 1) // 2 :])
        return [Chunk(dict(part), self.deaths + 1) for part in parts if part]


@dataclass(frozen=True)
class Died:
    """A worker has come to its end, and `how`, as far as that is known."""

    how: str


def chunks(recipes: Sequence[Recipe], workers: int) -> list[Chunk]:
    """The recipes in chunks for so many workers, each chunk of one model.

    Recipes of one seed stay together, because what they share is then computed once, unless there are more of them than
    one worker's share of the whole.
    """
    seeds: dict[str | None, dict[int, list[int]]] = {}
    for index, recipe in enumerate(recipes):
        seeds.setdefault(recipe.model, {}).setdefault(recipe.seed, []).append(index)
    share = min(MOST, math.ceil(len(recipes) / workers))
    turns = max(1, min(TURNS, len(recipes) // workers // FEW))
    usual = min(MOST, math.ceil(len(recipes) / workers / turns))
    packed: list[list[int]] = []
    for of_model in seeds.values():
        packed.append([])
        for indices in of_model.values():
            pieces = math.ceil(len(indices) / share)
            for i in range(pieces):
                piece = indices[i * len(indices) // pieces : (i + 1) * len(indices) // pieces]
                if packed[-1] and len(packed[-1]) + len(piece) > usual:
                    packed.append([])
                packed[-1].extend(piece)
    return [Chunk({index: recipes[index] for index in indices}) for indices in packed]


class Crew(ABC, Generic[Worker]):
    """A maker of `size` workers that take one chunk after another; what a dead worker leaves unmade, another makes.

    Workers stay, with the models they have loaded, until the crew is closed; it closes itself when a call is broken off. A
    crew carries out one call at a time.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._starting: list[Worker] = []
        self._idle: list[Worker] = []
        self._busy: dict[Worker, Chunk] = {}
        self._stillborn = 0
        self._called = False

    @abstractmethod
    def _start(self) -> Worker:
        """A new worker; it is heard of when it is ready."""

    @abstractmethod
    def _give(self, worker: Worker, todo: dict[int, Recipe]) -> None:
        """Have an idle worker make these recipes; if it is dead, that is heard later."""

    @abstractmethod
    def _hear(self) -> Iterator[tuple[Worker, Made | Died | None]]:
        """Wait until there is something to hear from the workers; None says that one has nothing to do."""

    @abstractmethod
    def _end(self, worker: Worker) -> None:
        """End a worker, dead or alive, and wait for its end."""

    def __call__(self, recipes: Sequence[Recipe]) -> Generator[Made, None, None]:
        """The pictures as they finish; a recipe that cannot be carried out is told, not raised.

        So are recipes of a chunk that cost three workers. Raises `NegativaError` if workers die before they are ready.
        """
        if self._called:
            raise RuntimeError("these workers are at another call; let it end, or close it, first")
        self._called = True
        waiting, left = deque(chunks(recipes, self.size)), len(recipes)
        try:
            while left:
                self._employ(waiting)
                for worker, news in self._hear():
                    for made in self._take_in(worker, news, waiting):
                        left -= 1
                        yield made
        finally:
            self._called = False
            if left:
                self.close()

    def close(self) -> None:
        """End all workers."""
        for worker in (*self._starting, *self._idle, *self._busy):
            self._end(worker)
        self._starting, self._idle, self._busy, self._stillborn = [], [], {}, 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _employ(self, waiting: deque[Chunk]) -> None:
        """Chunks to those who are idle, and new workers for the rest."""
        while waiting and self._idle:
            worker, chunk = self._idle.pop(), waiting.popleft()
            self._busy[worker] = chunk
            self._give(worker, chunk.todo)
        for _ in range(min(len(waiting) - len(self._starting), self.size - len(self._starting) - len(self._busy))):
            self._starting.append(self._start())

    def _take_in(self, worker: Worker, news: Made | Died | None, waiting: deque[Chunk]) -> Iterator[Made]:
        if isinstance(news, Made):
            del self._busy[worker].todo[news.index]
            yield news
            return
        chunk = self._busy.pop(worker, Chunk({}))
        if news is None:
            self._idle.append(worker)
            if worker in self._starting:
                self._starting.remove(worker)
                self._stillborn = 0
            return
        self._end(worker)
        if worker in self._idle:
            self._idle.remove(worker)
        if worker in self._starting:
            self._starting.remove(worker)
            self._stillborn += 1
            if self._stillborn == DEATHS:
                raise NegativaError(f"workers: {DEATHS} died one after another before they could begin ({news.how})")
        if chunk.deaths + 1 < DEATHS:
            waiting.extendleft(chunk.halves())
            return
        for index in chunk.todo:
            yield Made(index, None, None, f"{DEATHS} workers died over this recipe or those beside it; the last: {news.how}")


def settle(threads: int) -> None:
    """What a worker does first: keep to its share of the cores, and be silent about what the main process is."""
    os.environ["OMP_NUM_THREADS"] = str(threads)
    warnings.filterwarnings("ignore", module="torchsde")

    import torch

    torch.set_num_threads(threads)
