"""The engine: merges, batches, shrinks when memory is short, and never asks for everything at once."""

from __future__ import annotations

import itertools
import statistics

import pytest
import torch

from negativa import ModelError
from negativa.plain.conditions import Nothing, Words
from negativa.plain.passes import Moment, Pass, Patch
from negativa.sampling.budget import SIZES, TRIES, FixedRows, RowBudget
from negativa.sampling.engine import AT_ONCE, Engine, Running
from negativa.sampling.walk import Ask, Walk

MOMENT = Moment(0, 1)


def asking(value: float, words: str, side: int = 2, asks: int = 3) -> Walk:
    latents = torch.full((1, side, side), value)
    for step in range(asks):
        answers = yield Ask(latents, float(step), {"positive": Pass(Words(words)), "nothing": Pass(Nothing())}, MOMENT)
        latents = latents + answers["positive"] - answers["nothing"]
    return latents


def network(calls: list[int]):
    def predict(latents, timesteps, passes):
        assert len({row.shape for row in latents}) == 1
        calls.append(len(latents))
        length = [len(c.text) if isinstance(c, Words) else 0 for c in (one.condition for one in passes)]
        return torch.stack([row * 2 + n + t for row, n, t in zip(latents, length, timesteps, strict=True)])

    return predict


def finished(engine: Engine, walks) -> dict[int, Running]:
    return {one.key: one for stepped in engine.run(walks) for one in stepped if one.latents is not None}


@pytest.mark.parametrize("budget", [RowBudget, FixedRows])
@pytest.mark.parametrize("merge", [True, False])
def test_every_walk_gets_its_own_answers(budget, merge: bool) -> None:
    walks = [(i, asking(i % 3, "word" * (i % 2 + 1), side=2 + i % 2)) for i in range(20)]
    engine = Engine(network([]), budget, merge)
    for key, one in finished(engine, walks).items():
        gained = 3 * len("word" * (key % 2 + 1))
        assert torch.equal(one.latents, torch.full((1, 2 + key % 2, 2 + key % 2), key % 3 + float(gained)))
    assert engine.rows_asked == 20 * 3 * 2
    assert engine.rows_run == (engine.rows_asked if not merge else 6 * 3 * 2)


def test_rows_are_counted_for_the_walk_that_ran_them_first() -> None:
    done = finished(Engine(network([])), ((i, asking(1.0, "x")) for i in range(3)))
    assert [done[i].rows_asked for i in range(3)] == [6, 6, 6]
    assert [done[i].rows_run for i in range(3)] == [6, 0, 0]
    assert len({done[i].started for i in range(3)}) == 1 and done[0].started > 0


def test_walks_are_started_as_others_finish() -> None:
    started = itertools.count()

    def walks():
        for i in range(3 * AT_ONCE):
            next(started)
            yield i, asking(float(i), "x")

    running = Engine(network([])).run(walks())
    while next(running)[0].latents is None:
        pass
    assert next(started) == AT_ONCE


@pytest.mark.parametrize("budget", [RowBudget, FixedRows])
def test_pictures_come_one_after_another_and_not_all_at_the_end(budget) -> None:
    """A call takes what fits of the walks furthest along; what another asks for too is not run again for it."""
    engine = Engine(network([]), budget)
    walks = [(i, asking(float(i // 2), "x", asks=20)) for i in range(AT_ONCE)]
    ran = [(one.key, engine.rows_run) for stepped in engine.run(walks) for one in stepped if one.latents is not None]
    assert [key for key, _ in ran] == list(range(AT_ONCE))
    assert ran[0][1] <= engine.rows_run / 2
    assert engine.rows_run == AT_ONCE // 2 * 2 * 20


def test_a_call_that_does_not_fit_is_halved_and_not_tried_again() -> None:
    calls: list[int] = []
    predict = network(calls)

    def small(latents, timesteps, passes):
        if len(latents) > 5:
            calls.append(-len(latents))
            raise torch.OutOfMemoryError("no room")
        return predict(latents, timesteps, passes)

    engine = Engine(small)
    expected = finished(Engine(network([])), [(i, asking(float(i), "x")) for i in range(9)])
    found = finished(engine, [(i, asking(float(i), "x")) for i in range(9)])
    assert all(torch.equal(found[key].latents, expected[key].latents) for key in expected)
    assert [call for call in calls if call < 0] == [-6]

    def none(latents, timesteps, conditions):
        raise torch.OutOfMemoryError("no room at all")

    with pytest.raises(ModelError, match="2x2 latents do not fit into the device's memory"):
        list(Engine(none).run([(0, asking(1.0, "x"))]))


def test_calls_are_as_large_as_the_rows_that_their_passes_take() -> None:
    """A pass whose patch reads two negatives row by row is three rows."""
    calls, told = list[int](), list[tuple[int, int]]()
    patch = Patch("negtome", against=((Words("a"), 1.0), (Words("b"), 1.0)), rows=2)

    class Told(RowBudget):
        def learn(self, rows: int, seconds: float) -> None:
            told.append((rows, self.rows()))
            super().learn(rows, seconds)

    def merging(value: float) -> Walk:
        answers = yield Ask(torch.full((1, 2, 2), value), 0.0, {"positive": Pass(Words("x"), (patch,))}, MOMENT)
        return answers["positive"]

    done = finished(Engine(network(calls), Told), [(i, merging(float(i))) for i in range(20)])
    assert [rows for rows, _ in told] == [3 * size for size in calls] and sum(calls) == 20
    assert all(rows <= most for rows, most in told)
    assert all(done[i].rows_run == 3 and torch.equal(done[i].latents, torch.full((1, 2, 2), 2.0 * i + 1)) for i in range(20))


@pytest.mark.parametrize(
    ("seconds", "settles"),
    [({8: 1.0, 16: 0.8, 32: 0.7, 64: 0.6}, 64), ({8: 1.0, 16: 0.8, 32: 0.8, 64: 0.1}, 16), ({8: 1.0, 16: 1.2}, 8)],
)
def test_the_budget_grows_until_a_row_stops_getting_cheaper(seconds, settles: int) -> None:
    budget = RowBudget()
    for _ in range(TRIES * len(SIZES) + 1):
        size = budget.rows()
        budget.learn(size, seconds.get(size, 9.0) * size)
    assert budget.rows() == settles
    assert sum(budget.split(100)) == 100 and max(budget.split(100)) <= settles
    assert max(budget.split(settles + 1)) - min(budget.split(settles + 1)) <= 1


@pytest.mark.parametrize("rows", [12, 16, 32, 64, 128])
def test_a_size_that_met_a_busy_machine_gets_another_chance_whatever_a_step_asks(rows: int) -> None:
    budget, calls = RowBudget(), list[int]()
    while len(calls) < 100:
        left = rows
        while left:
            calls.append(budget.split(left)[0])
            left -= calls[-1]
            busy = len(calls) <= 20
            budget.learn(calls[-1], (3.0 if calls[-1] <= 8 else 5.0 if busy else 2.0 if calls[-1] <= 16 else 9.0) * calls[-1])
    assert 8 in calls[:20] or rows < 16
    assert statistics.mode(calls[-20:]) == min(rows, 16)
