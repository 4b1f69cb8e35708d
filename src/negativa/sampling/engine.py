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

AT_ONCE: Final = 64  # walks alive together: enough to fill calls and to share rows

Row = tuple["Tensor", float, Pass]
Predict = Callable[["Sequence[Tensor]", Sequence[float], Sequence[Pass]], "Tensor"]


@dataclass
class Running:
    """One walk under way: what it asks for now, and what it has cost.

    `key` is the caller's, `taken` counts answered asks, `started` is when the first of its rows was run. `wanted` says which
    row, by what tells it from others, stands for which pass; `rows` are those still to be run, all of one shape, `done` the
    others' predictions. `latents` is set when the walk has ended.
    """

    key: int
    walk: Walk
    shape: tuple[int, ...] = ()
    wanted: dict[str, Hashable] = field(default_factory=dict)
    rows: dict[Hashable, Row] = field(default_factory=dict)
    done: dict[Hashable, Tensor] = field(default_factory=dict)
    latents: Tensor | None = None
    taken: int = 0
    rows_asked: int = 0
    rows_run: int = 0
    started: float = 0.0


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
        """Run walks side by side, those furthest along first, so that pictures come one after another and not all at the end.

        Yields those that have taken a step, the ended ones with their latents.
        """
        waiting, alive = iter(walks), list[Running]()
        while True:
            for key, walk in islice(waiting, AT_ONCE - len(alive)):
                alive.append(Running(key, walk))
                self._hear(alive[-1], next(walk))
            if not alive:
                return
            alive.sort(key=lambda one: -one.taken)
            self._run_some(alive)
            if served := [one for one in alive if not one.rows]:
                for one in served:
                    self._answer(one)
                yield served
            alive = [one for one in alive if one.latents is None]

    def _answer(self, one: Running) -> None:
        """Send a walk the predictions it asked for, by name of pass, and take note of what it asks for next, or of its end."""
        one.taken += 1
        try:
            self._hear(one, one.walk.send({name: one.done[key] for name, key in one.wanted.items()}))
        except StopIteration as end:
            one.latents = end.value

    def _hear(self, one: Running, ask: Ask) -> None:
        """Take note of what a walk asks for."""
        content, at, asked = _content(ask.latents), ask.timestep, ask.passes.items()
        one.shape = tuple(ask.latents.shape)
        one.wanted = {name: (content, at, chosen) if self.merge else (one.key, name) for name, chosen in asked}
        one.rows, one.done = {one.wanted[name]: (ask.latents, at, chosen) for name, chosen in asked}, {}
        rows = sum(chosen.rows for _, chosen in asked)
        one.rows_asked, self.rows_asked = one.rows_asked + rows, self.rows_asked + rows

    def _run_some(self, alive: Sequence[Running]) -> None:
        """Run as many rows as fit into a call, those of the first of these walks first, and tell all that ask for them."""
        alike = [one for one in alive if one.shape == alive[0].shape]
        asked: dict[Hashable, tuple[Running, Row]] = {}
        for one in alike:
            for key, row in one.rows.items():
                asked.setdefault(key, (one, row))
        budget = self._budget(alive[0].shape)
        keys = list(asked)[: _fitting([row[2].rows for _, row in asked.values()], budget)]
        for one, (_, _, chosen) in (asked[key] for key in keys):
            one.rows_run, self.rows_run = one.rows_run + chosen.rows, self.rows_run + chosen.rows
        with self.alone:
            started = time.perf_counter()
            predicted = dict(zip(keys, self._call([asked[key][1] for key in keys], budget), strict=True))
        for one in alike:
            for key in one.rows.keys() & predicted.keys():
                one.started = one.started or started
                one.done[key] = predicted[key]
                del one.rows[key]

    def _budget(self, shape: tuple[int, ...]) -> RowBudget | FixedRows:
        if shape not in self.budgets:
            self.budgets[shape] = self.budget()
        return self.budgets[shape]

    def _call(self, rows: list[Row], budget: RowBudget | FixedRows) -> Iterable[Tensor]:
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


def _rows_of(asked: Sequence[Row]) -> int:
    return sum(chosen.rows for _, _, chosen in asked)


def _content(latents: Tensor) -> bytes:
    return hashlib.blake2b(latents.numpy().tobytes(), digest_size=16).digest() + str(tuple(latents.shape)).encode()
