"""Runs many walks at once: gathers their asks, merges equal ones, batches the rest, answers."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, islice
from threading import RLock
from typing import TYPE_CHECKING, Final

from negativa.errors import ModelError
from negativa.plain.passes import Pass
from negativa.sampling.budget import FixedRows, RowBudget
from negativa.sampling.memory import is_short, size_of
from negativa.sampling.walk import Ask, Walk

if TYPE_CHECKING:
    from torch import Tensor

AT_ONCE: Final = 64  # walks alive together: enough to fill calls and to share rows, few enough that pictures come soon

Predict = Callable[["Sequence[Tensor]", Sequence[float], Sequence[Pass]], "Tensor"]


@dataclass
class Running:
    """One walk under way: what it asks for now, and what it has cost.

    `key` is the caller's, `taken` counts answered asks. `latents` is set when the walk has ended.
    """

    key: int
    walk: Walk
    ask: Ask | None = None
    latents: Tensor | None = None
    taken: int = 0
    rows_asked: int = 0
    rows_run: int = 0
    started: float = field(default_factory=time.perf_counter)


@dataclass
class Engine:
    """`predict` maps rows of latents, timesteps and passes to predictions of the same shapes, float32, on the CPU.

    `merge` answers equal asks (latents by content, timestep, pass) with one row. `budget` makes, for each size of
    picture, what decides how many rows go into a call. `rows_asked`, `rows_run` and `network_seconds` count over the
    engine's life. A network is changed while it predicts (patches, LoRAs): whoever uses it has to be `alone`, a lock.
    """

    predict: Predict
    budget: Callable[[], RowBudget | FixedRows] = RowBudget
    merge: bool = True
    rows_asked: int = 0
    rows_run: int = 0
    network_seconds: float = 0.0
    budgets: dict[tuple[int, ...], RowBudget | FixedRows] = field(default_factory=dict)
    alone: RLock = field(default_factory=RLock)

    def run(self, walks: Iterable[tuple[int, Walk]]) -> Iterator[list[Running]]:
        """Run walks side by side; yields all that are under way after each step, those that have ended with their latents."""
        waiting, alive = iter(walks), list[Running]()
        while True:
            for key, walk in islice(waiting, AT_ONCE - len(alive)):
                fresh = Running(key, walk)
                fresh.ask = next(walk)
                alive.append(fresh)
            if not alive:
                return
            answers = self._answer(alive)
            for one, answer in zip(alive, answers, strict=True):
                one.taken += 1
                try:
                    one.ask = one.walk.send(answer)
                except StopIteration as end:
                    one.ask, one.latents = None, end.value
            yield alive
            alive = [one for one in alive if one.ask is not None]

    def _answer(self, alive: list[Running]) -> list[dict[str, Tensor]]:
        """The predictions each walk asked for, by name of pass."""
        rows: dict[Hashable, tuple[Tensor, float, Pass]] = {}
        keys: list[dict[str, Hashable]] = []
        for one in alive:
            ask = one.ask
            assert ask is not None
            content = _content(ask.latents)
            wanted: dict[str, Hashable] = {}
            for name, chosen in ask.passes.items():
                key = (content, ask.timestep, chosen) if self.merge else (one.key, name)
                if key not in rows:
                    rows[key] = (ask.latents, ask.timestep, chosen)
                    one.rows_run += chosen.rows
                    self.rows_run += chosen.rows
                wanted[name] = key
                one.rows_asked += chosen.rows
                self.rows_asked += chosen.rows
            keys.append(wanted)
        predictions = self._predict_all(rows)
        return [{name: predictions[key] for name, key in wanted.items()} for wanted in keys]

    def _predict_all(self, rows: dict[Hashable, tuple[Tensor, float, Pass]]) -> dict[Hashable, Tensor]:
        """Every pass predicted; those whose latents are of one shape share calls, each as large as its rows of the network."""
        shapes: dict[tuple[int, ...], list[Hashable]] = {}
        for key, (latents, _, _) in rows.items():
            shapes.setdefault(tuple(latents.shape), []).append(key)
        done: dict[Hashable, Tensor] = {}
        for shape, left in shapes.items():
            budget = self.budgets.setdefault(shape, self.budget())
            while left:
                size = _fitting([rows[key][2].rows for key in left], budget)
                with self.alone:
                    done |= zip(left[:size], self._call([rows[key] for key in left[:size]], budget), strict=True)
                left = left[size:]
        return done

    def _call(self, rows: list[tuple[Tensor, float, Pass]], budget: RowBudget | FixedRows) -> Iterable[Tensor]:
        started = time.perf_counter()
        predictions: Tensor | None = None
        try:
            predictions = self.predict(*zip(*rows, strict=True))
        except RuntimeError as error:  # torch.OutOfMemoryError among them
            if not is_short(error):
                raise
            if len(rows) == 1:
                size = size_of(rows[0][0])
                raise ModelError(f"width and height: {size} latents do not fit into the device's memory") from error
        if predictions is None:  # only now has the failed call let go of what it held
            budget.shrink(_rows_of(rows))
            half = (len(rows) + 1) // 2
            return [*self._call(rows[:half], budget), *self._call(rows[half:], budget)]
        seconds = time.perf_counter() - started
        self.network_seconds += seconds
        budget.learn(_rows_of(rows), seconds)
        return predictions


def _fitting(rows: Sequence[int], budget: RowBudget | FixedRows) -> int:
    """How many of the passes that take so many rows each go into the next call: at least one."""
    most = budget.split(sum(rows))[0]
    return max(1, sum(taken <= most for taken in accumulate(rows)))


def _rows_of(asked: Sequence[tuple[Tensor, float, Pass]]) -> int:
    return sum(chosen.rows for _, _, chosen in asked)


def _content(latents: Tensor) -> bytes:
    return hashlib.blake2b(latents.numpy().tobytes(), digest_size=16).digest() + str(tuple(latents.shape)).encode()
