"""The recipe of terrarium's weights: every part trains, can be interrupted, and ends in a folder that loads."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import negativa
from negativa import InputError
from negativa.training import data
from negativa.training.loop import train
from negativa.training.terrarium import Settings, run


def test_the_whole_recipe_in_a_few_steps(tmp_path: Path) -> None:
    settings = Settings(tmp_path, pictures=40, vae_steps=2, reader_steps=2, diffusion_steps=3)
    seen = [(now.part, now.step, now.steps) for now in run(settings)]
    parts = {"painting": 40, "vae": 2, "encoding": 40, "reader": 2, "diffusion": 3}
    assert {part: (step, steps) for part, step, steps in seen} == {part: (steps, steps) for part, steps in parts.items()}
    assert list(dict.fromkeys(part for part, _, _ in seen)) == list(parts)
    studio = negativa.load(str(tmp_path / "terrarium"))
    result = studio.generate(negativa.Recipe("portrait of a man", "mustache", steps=2))
    assert result.image.size == (128, 128)
    assert list(run(settings)) == []  # all there: nothing is trained again
    with pytest.raises(InputError, match="was begun with"):
        list(run(replace(settings, seed=1)))


def test_an_interrupted_run_ends_where_an_unbroken_one_does(tmp_path: Path) -> None:
    def loss(module: nn.Module, rng: np.random.Generator, share: float) -> torch.Tensor:
        rows = torch.from_numpy(rng.standard_normal((8, 3)).astype(np.float32))
        return (module(rows) - rows.sum(1, keepdim=True)).square().mean()

    def start(folder: Path):
        torch.manual_seed(0)
        module = nn.Linear(3, 1)
        steps = train("part", module, loss, folder, steps=30, minutes=None, learning_rate=0.1, seed=5)
        return module, steps

    unbroken, steps = start(tmp_path / "one")
    losses = [now.loss for now in steps]
    first, steps = start(tmp_path / "two")
    for now in steps:
        if now.step == 12:
            break
    steps.close()
    second, steps = start(tmp_path / "two")
    later = [now.loss for now in steps]
    assert later == losses[12:]
    assert all(torch.equal(a, b) for a, b in zip(second.parameters(), unbroken.parameters(), strict=True))
    assert not torch.equal(first.weight, second.weight)


def test_minutes_decide_the_steps(tmp_path: Path) -> None:
    module, started = nn.Linear(1, 1), time.monotonic()
    steps = train(
        "part",
        module,
        lambda m, rng, share: m(torch.ones(1, 1)).square().sum(),
        tmp_path,
        steps=1_000_000,
        minutes=0.005,
        learning_rate=0.1,
        seed=0,
    )
    *_, last = steps
    assert last.step == last.steps < 100_000
    assert time.monotonic() - started < 5


def test_pictures_are_painted_once(tmp_path: Path) -> None:
    def painted():
        said = []
        work = data.painted(3, 1, tmp_path)
        while True:
            try:
                said.append(next(work))
            except StopIteration as end:
                return said, *end.value

    said, first, truths = painted()
    silence, again, same = painted()
    assert len(said) == 1 and silence == []
    assert np.array_equal(first, again) and np.array_equal(truths, same)
    assert data.truth_of(truths[0])[("portrait", "house")[int(truths[0][1])]]
