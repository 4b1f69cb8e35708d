"""Several processes: the same pictures as one, whoever dies on the way, and nobody left behind."""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import torch
from PIL import Image

from negativa import InputError, NegativaError, Recipe
from negativa.experiments.chunks import DEATHS, MOST, Crew, Died, chunks
from negativa.experiments.making import Here, Made
from negativa.experiments.workers import Processes

ARMS = (Recipe("a man"), Recipe("a man", "hat"), Recipe("a man", "hat", scale=2))


def told(made: Sequence[Made]) -> dict[int, tuple[bytes, str, str]]:
    """What became of each recipe, by index; fails if one was told twice."""
    assert len({one.index for one in made}) == len(made)
    return {
        one.index: (
            one.image.tobytes() if one.image else b"",
            one.receipt.latents_hash if one.receipt else "",
            one.failure,
        )
        for one in made
    }


def wait_until(reached: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not (now := reached()) and time.monotonic() < end:
        time.sleep(0.1)
    return now


def load_of_work(folder: Path, steps: int) -> list[Recipe]:
    """Three arms of eight seeds, among them a rule and a model that are not there."""
    recipes = [arm.replace(seed=seed, steps=steps, model=str(folder)) for arm in ARMS for seed in range(8)]
    recipes[5] = recipes[5].replace(rule="nonesuch")
    recipes[13] = recipes[13].replace(model=str(folder / "nowhere"))
    return recipes


# Chunks and what becomes of them


@pytest.mark.parametrize(("arms", "seeds", "workers"), [(3, 16, 2), (1, 5, 8), (9, 1, 2), (200, 1, 2), (2, 500, 3), (40, 3, 2)])
def test_chunks_keep_seeds_together_and_every_worker_busy(arms: int, seeds: int, workers: int) -> None:
    recipes = [Recipe(f"arm {arm}", seed=seed) for arm in range(arms) for seed in range(seeds)]
    parts = [list(chunk.todo) for chunk in chunks(recipes, workers)]
    assert sorted(index for part in parts for index in part) == list(range(len(recipes)))
    assert all(0 < len(part) <= MOST for part in parts)
    assert len(parts) >= min(workers, seeds * arms)
    if arms <= len(recipes) / workers and arms <= MOST:  # one seed is no more than a worker's share
        homes = {(recipes[index].seed, number) for number, part in enumerate(parts) for index in part}
        assert len(homes) == seeds


def test_a_chunk_has_one_model_and_models_come_one_after_another() -> None:
    recipes = [Recipe("x", seed=seed, model=model) for seed in range(6) for model in (None, "other")]
    models = [{recipe.model for recipe in chunk.todo.values()} for chunk in chunks(recipes, 2)]
    assert all(len(of_chunk) == 1 for of_chunk in models)
    assert [of_chunk == {None} for of_chunk in models] == sorted((of_chunk == {None} for of_chunk in models), reverse=True)


class Mortals(Crew[int]):
    """Workers in name only, who die by lot, at work or idle, and always over the seeds that are deadly."""

    def __init__(self, size: int, lot: int = 0, risk: float = 0, deadly: Sequence[int] = (), stillborn: bool = False) -> None:
        super().__init__(size)
        self.lot, self.risk, self.deadly, self.stillborn = random.Random(lot), risk, deadly, stillborn
        self.at: dict[int, dict[int, Recipe] | None] = {}
        self.started, self.most = 0, 0

    def _start(self) -> int:
        self.started += 1
        self.at[self.started] = {}
        self.most = max(self.most, len(self.at))
        return self.started

    def _give(self, worker: int, todo: dict[int, Recipe]) -> None:
        assert self.at[worker] is None
        self.at[worker] = dict(todo)

    def _hear(self) -> Iterator[tuple[int, Made | Died | None]]:
        worker = self.lot.choice(list(self.at))
        todo = self.at[worker]
        doomed = any(recipe.seed in self.deadly for recipe in (todo or {}).values())
        if doomed or self.stillborn or (todo != {} and self.lot.random() < self.risk):
            yield worker, Died("struck")
        elif todo:
            index = self.lot.choice(list(todo))
            del todo[index]
            yield worker, Made(index, Image.new("RGB", (1, 1)), None)
        elif todo == {}:
            self.at[worker] = None
            yield worker, None

    def _end(self, worker: int) -> None:
        del self.at[worker]


@pytest.mark.parametrize("seed", range(30))
def test_whoever_dies_each_recipe_is_told_once(seed: int) -> None:
    recipes = [arm.replace(seed=i) for arm in ARMS for i in range(20)]
    with Mortals(3, lot=seed, risk=0.05) as crew:
        for _ in range(2):
            made = list(crew(recipes))
            assert sorted(one.index for one in made) == list(range(60))
            assert all((one.image is None) == bool(one.failure) for one in made)
            assert sum(one.image is not None for one in made) > 30
        assert crew.most <= 3
    assert not crew.at


def test_a_chunk_that_kills_every_worker_is_told_and_the_rest_is_made() -> None:
    recipes = [arm.replace(seed=i) for arm in ARMS for i in range(8)]
    crew = Mortals(2, deadly=[3])
    made = {one.index: one for one in crew(recipes)}
    failed = [index for index, one in made.items() if one.failure]
    assert sorted(failed) == [3, 11, 19]
    assert "workers died" in made[3].failure and "struck" in made[3].failure
    assert crew.started == 2 + DEATHS


def test_workers_that_die_at_birth_are_not_replaced_for_ever() -> None:
    crew = Mortals(4, stillborn=True)
    with pytest.raises(NegativaError, match=r"workers: 3 died .* \(struck\)"):
        list(crew(list(ARMS)))
    assert crew.started <= 4 + DEATHS and not crew.at


def test_a_call_that_is_broken_off_ends_the_workers_and_another_may_follow() -> None:
    crew = Mortals(2)
    call = crew(list(ARMS))
    next(call)
    with pytest.raises(RuntimeError, match="another call"):
        next(crew(list(ARMS)))
    call.close()
    assert not crew.at
    assert len(list(crew(list(ARMS)))) == 3
    assert list(crew([])) == []


def test_a_recipe_that_breaks_off_the_others_is_told_alone(folder: Path) -> None:
    """One picture is too large for the device; it is found out in the middle of the others."""
    here = Here(device="cpu", reproducible=True)
    recipes = [Recipe("x", seed=seed, steps=2 + seed, model=str(folder)) for seed in range(5)]
    expected = told(list(here(recipes)))

    def small(_: object, given: tuple[torch.Tensor, ...]) -> None:
        if given[0].shape[-1] > 16:
            raise torch.OutOfMemoryError("no room")

    here.studio(str(folder)).denoiser.unet.register_forward_pre_hook(small)
    recipes[2] = recipes[2].replace(width=64)
    found = told(list(here(recipes)))
    assert found.pop(2) == (b"", "", "width and height: 32x16 latents do not fit into the device's memory")
    del expected[2]
    assert found == expected


def test_a_model_that_no_recipe_waits_for_is_let_go(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "other")
    here, models = Here(device="cpu"), (str(folder), str(tmp_path / "other"))
    there = [weakref.ref(here.studio(model).denoiser.unet) for model in models]
    call = here([Recipe("x", seed=seed, steps=1, model=model) for seed in range(2) for model in models])
    held = []
    for made in call:
        assert not made.failure
        held.append([one() is not None for one in there])
    assert held == [[True, True]] * 2 + [[False, True]] * 2
    assert len(list(here([Recipe("x", steps=1, model=models[1])]))) == 1 and there[1]() is not None
    assert not next(here([Recipe("x", steps=1, model=models[0])])).failure and there[1]() is None


# Processes


def children() -> set[int]:
    return {child.pid for child in multiprocessing.active_children() if child.pid}


@pytest.fixture(scope="module")
def processes() -> Iterator[Processes]:
    with Processes(2, device="cpu", reproducible=True) as crew:
        yield crew
    assert not children()


def test_processes_make_what_one_makes_and_stay(processes: Processes, folder: Path) -> None:
    recipes = load_of_work(folder, 2)
    expected = told(list(Here(device="cpu", reproducible=True)(recipes)))
    assert sum(bool(failure) for _, _, failure in expected.values()) == 2
    assert told(list(processes(recipes))) == expected
    before = children()
    assert len(before) == 2
    assert told(list(processes(recipes))) == expected
    assert children() == before


def test_the_share_of_the_cores_changes_nothing(processes: Processes) -> None:
    """Terrarium's networks are large enough for threads to divide their sums, which changes the last digits."""
    recipes = [Recipe("portrait of a man", "mustache", seed=seed, steps=2) for seed in range(2)]
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        expected = told(list(Here(device="cpu", reproducible=True)(recipes)))
    finally:
        torch.set_num_threads(before)
    assert told(list(processes(recipes))) == expected


def test_killed_processes_change_nothing(processes: Processes, folder: Path) -> None:
    recipes = load_of_work(folder, 8)
    expected = told(list(Here(device="cpu", reproducible=True)(recipes)))
    call = processes(recipes)
    made = [next(call)]
    victims = children()
    for victim in victims:
        os.kill(victim, signal.SIGKILL)
    made += call
    assert told(made) == expected
    assert len(victims) == 2 and children() and not children() & victims


def test_ending_early_ends_the_processes(processes: Processes, folder: Path) -> None:
    call = processes(load_of_work(folder, 20))
    next(call)
    assert children()
    call.close()
    assert not children()


def test_the_number_of_workers_is_checked() -> None:
    with pytest.raises(InputError, match="workers: 0 was given; allowed: a whole number from 1"):
        Processes(0)


SCRIPT = """
import multiprocessing, signal, sys
from negativa import Recipe
from negativa.experiments.workers import Processes

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell has its background processes ignore
    quick = Recipe("x", steps=1, model=sys.argv[1])
    recipes = [quick, *(quick.replace(seed=seed, steps=900, width=256, height=256) for seed in range(1, 8))]
    with Processes(2, device="cpu") as crew:
        for made in crew(recipes):
            assert not made.failure, made.failure
            print(*(child.pid for child in multiprocessing.active_children()), flush=True)
"""


@pytest.mark.parametrize(("sent", "to_all"), [(signal.SIGKILL, False), (signal.SIGINT, True)], ids=["killed", "interrupted"])
def test_processes_do_not_outlive_their_parent(folder: Path, tmp_path: Path, sent: signal.Signals, to_all: bool) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    errors = tmp_path / "errors"
    with errors.open("w") as stderr:
        parent = subprocess.Popen(
            [sys.executable, script, str(folder)], stdout=subprocess.PIPE, stderr=stderr, text=True, start_new_session=True
        )
    assert parent.stdout is not None
    pids = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(pids) == 2, errors.read_text()
    (os.killpg if to_all else os.kill)(parent.pid, sent)
    try:
        parent.communicate(timeout=60)
        assert wait_until(lambda: not any(map(psutil.pid_exists, pids)), 20)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(parent.pid, signal.SIGKILL)
    assert errors.read_text().count("Traceback") == (1 if to_all else 0)  # the script's own, none of the workers
