"""Carrying a study out: makes what is missing, scores it, and writes the report; stop it at any moment and run it again."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from negativa.errors import InputError, ModelError
from negativa.experiments.making import Here, Maker
from negativa.experiments.place import has_study
from negativa.experiments.plan import Arm, Plan, read_plan
from negativa.experiments.records import Failure, Picture
from negativa.experiments.scoring import score, score_alike
from negativa.experiments.store import Store
from negativa.experiments.verdicts import Verdict, judge
from negativa.measures import build
from negativa.measures.measure import Shot


@dataclass(frozen=True)
class Begun:
    """The study has so many `pictures` in all, of which `done` were there already."""

    pictures: int
    done: int


@dataclass(frozen=True)
class Damaged:
    """A picture whose file did not match its hash any more; it is made again."""

    picture: Picture


@dataclass(frozen=True)
class Drawn:
    """A picture is finished and on the disk; `done` of `pictures` are."""

    picture: Picture
    done: int
    pictures: int


@dataclass(frozen=True)
class Failed:
    """A picture could not be made, or a measure could not score an arm; it is kept and shown in the report."""

    failure: Failure


@dataclass(frozen=True)
class Scored:
    """A measure has scored an arm; `done` of `all` such pairs are."""

    measure: str
    arm: str
    done: int
    all: int


@dataclass(frozen=True)
class Finished:
    """The report is written, and says these verdicts."""

    report: Path
    verdicts: tuple[Verdict, ...]


Event = Begun | Damaged | Drawn | Failed | Scored | Finished


def study(plan: Plan | str | os.PathLike[str], folder: str | os.PathLike[str], make: Maker | None = None) -> Iterator[Event]:
    """Carry a plan out in a folder, telling of every picture; what is finished there is not done again.

    `make` says where pictures are made, in this process if not given. The folder then holds `study.db`, `pictures/`,
    `report.html`, `scores.csv`, `verdicts.csv` and, where pyarrow is installed, both as `.parquet`.
    However often it is interrupted, the result is the same: bit for bit if the maker is reproducible, else to the rounding
    that depends on which pictures are made side by side. So does `rows_run`; `rows_asked` is the stable cost.
    Raises `InputError` for a plan or folder that cannot be used, and before a plan is begun for a measure that lacks what it
    needs; `ModelError` if no picture at all can be made, `OutputError` if the disk is full; what is finished is then kept.
    """
    plan = plan if isinstance(plan, Plan) else read_plan(plan)
    if not has_study(folder):  # a plan is not changed once it is begun
        for name in plan.measures:
            build(name).check()
    with Store(folder, plan) as store:
        yield from _draw(store, make or Here())
        yield from _score(store)
        verdicts = tuple(judge(store))
        from negativa.experiments.report import write_report

        yield Finished(write_report(store, verdicts), verdicts)


def _draw(store: Store, make: Maker) -> Iterator[Event]:
    """Make what is missing, seed after seed with all its arms side by side, so that the engine merges what they share."""
    yield from map(Damaged, store.mend())
    arms, there = store.plan.arms(), {(one.arm, one.seed) for one in store.all()}
    missing = [(arm, seed) for seed in store.plan.seeds for arm in arms if (arm.label, seed) not in there]
    total, done = len(there) + len(missing), len(there)
    yield Begun(total, done)
    if not missing:
        return
    reasons = Counter[str]()
    for made in make([arm.at(seed) for arm, seed in missing]):
        arm, seed = missing[made.index]
        if (why := made.unusable) or made.image is None or made.receipt is None:
            reasons[why] += 1
            store.fail(arm.label, seed, why)
            yield Failed(Failure(arm.label, seed, why))
        else:
            done += 1
            yield Drawn(store.put(arm.label, seed, made.image, made.receipt), done, total)
    if not done:
        raise ModelError(f"no picture could be made: {reasons.most_common(1)[0][0]}")


def _score(store: Store) -> Iterator[Event]:
    """Score every arm by every measure, one arm's pictures in memory at a time."""
    measures = {name: build(name) for name in store.plan.measures}
    arms = store.plan.arms()
    todo = [(arm, name) for arm in arms for name in measures if arm.baseline or measures[name].over != "pair"]
    pictures = {(one.arm, one.seed): one for one in store.all()}
    at, shots = None, dict[int, Shot]()
    for done, (arm, name) in enumerate(todo, 1):
        scored = bool(store.scores(name, arm.label))
        compared = measures[name].over != "arm" or not arm.baseline or bool(store.alike(name, arm.label)[0])
        if scored and compared:
            continue
        if arm is not at:
            at, shots = arm, _shots(store, arm, pictures)
        try:
            if not scored:
                store.put_scores(name, arm.label, score(measures[name], shots))
            if not compared:
                store.put_alike(name, arm.label, *score_alike(measures[name], shots))
            if store.scores(name, arm.label):
                yield Scored(name, arm.label, done, len(todo))
        except InputError as error:
            failure = Failure(arm.label, None, f"{name}: {error}")
            store.fail(failure.arm, failure.seed, failure.sentence)
            yield Failed(failure)


def _shots(store: Store, arm: Arm, pictures: dict[tuple[str, int], Picture]) -> dict[int, Shot]:
    """An arm's pictures by seed, each with its baseline's; an arm without a negative is its own baseline."""
    shots, alike = {}, [other for other in store.plan.arms() if arm.baseline and other.baseline == arm.baseline]
    compared = tuple(sorted({negative.text for other in alike for negative in other.recipe.negative}))
    for seed in store.plan.seeds:
        if (after := pictures.get((arm.label, seed))) is None:
            continue
        image = store.image(after)
        before = pictures.get((arm.baseline, seed)) if arm.baseline else None
        recipe = arm.at(seed)
        without = store.image(before) if before else None if arm.recipe.negative else image
        shots[seed] = Shot(image, recipe, without, compared)
    return shots
