"""Every way on terrarium, where the reader knows: what is removed, what is kept, what it costs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path

import numpy as np
from rich.progress import track
from ways import WEIGHTS, Way

from negativa import Negative, Recipe
from negativa.denoisers.checkpoints import BUILT_IN
from negativa.experiments.making import Maker
from negativa.experiments.statistics import Estimate, mean
from negativa.language.files import whole
from negativa.measures import Shot, build
from negativa.terrarium import read_many
from negativa.terrarium.painter import SCENES

STEPS = 20
WAVE = 10  # seeds of each case after which every other way has its turn
MOST_ASKED = 0.9  # an attribute that nearly every picture has is what the picture is of
Case = tuple[str, str]  # prompt and negative


@dataclass(frozen=True)
class Cell:
    """A way at a strength, over all cases: what each picture says, and the arm's distance from painted ones.

    `removed` has a number for every picture that had what the negative names without it; `kept` one for every picture.
    """

    name: str
    weight: float
    removed: list[float]
    kept: list[float]
    rows: float
    distance: float

    @cached_property
    def gone(self) -> Estimate:
        return mean(self.removed)

    @cached_property
    def same(self) -> Estimate:
        return mean(self.kept)

    def beats(self, other: Cell) -> bool:
        """Whether this is at least as good in all of removed, kept and rows, and better in one."""
        mine, theirs = ((one.gone.value, one.same.value, -one.rows) for one in (self, other))
        return mine != theirs and all(a >= b for a, b in zip(mine, theirs, strict=True))


def cases(make: Maker, number: int, seeds: Sequence[int]) -> list[Case]:
    """Prompts, and the attributes that appear most often in their pictures when nobody asks for them."""
    found: list[tuple[float, Case]] = []
    for name, scene in SCENES.items():
        for subject in scene.subjects or (name,):
            prompt = f"{'an' if subject[0] in 'aeiou' else 'a'} {subject}"
            readings = read_many(
                [image for image, _ in drawn(make, [Recipe(prompt, seed=seed, steps=STEPS) for seed in seeds])]
            )
            for attribute in scene.attributes:
                rate = float(np.mean([reading[attribute.name] > 0.5 for reading in readings]))
                if attribute.name not in scene.subjects and rate < MOST_ASKED:
                    found.append((rate, (prompt, attribute.name)))
    found.sort(key=lambda one: -one[0])
    return [case for _, case in found[:number]]


def cells(make: Maker, ways: Sequence[Way], chosen: Sequence[Case], seeds: Sequence[int], folder: Path) -> Iterator[Cell]:
    """Every way at every strength, first with the first few seeds, then with the next; what lies in the folder is read."""
    folder.mkdir(parents=True, exist_ok=True)
    for first in range(0, len(seeds), WAVE):
        wave = seeds[first : first + WAVE]
        file = folder / f"{wave[0]}-{drawn_with(chosen, wave)}.jsonl"
        done = {(one.name, one.weight): one for one in finished(file)}
        before = without(make, [way for way in ways if any((way.name, w) not in done for w in WEIGHTS)], chosen, wave)
        for way in ways:
            for weight in WEIGHTS:
                if (way.name, weight) not in done:
                    done[way.name, weight] = measured(make, way, weight, before[way.name], wave)
                    with whole(file) as out:
                        out.write("".join(f"{json.dumps(asdict(one))}\n" for one in done.values()).encode())
                yield done[way.name, weight]


def finished(file: Path) -> list[Cell]:
    """The cells of a wave that are there already."""
    return [Cell(**json.loads(line)) for line in file.read_text().splitlines()] if file.exists() else []


def drawn_with(chosen: Sequence[Case], seeds: Sequence[int]) -> str:
    """A name for all that the cells of a wave have in common: weights, cases, seeds, steps."""
    weights = [hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(BUILT_IN["terrarium"].rglob("*.safetensors"))]
    return hashlib.sha256(json.dumps([weights, chosen, list(seeds), STEPS]).encode()).hexdigest()[:10]


def without(make: Maker, ways: Sequence[Way], chosen: Sequence[Case], seeds: Sequence[int]) -> dict[str, dict[Case, list]]:
    """Every way's pictures without a negative, side by side: many rules are one then, and equal work is done once."""
    found: dict[str, dict[Case, list]] = {way.name: {} for way in ways}
    for case in track(chosen, "without a negative") if ways else ():
        arms = [recipes_of(way, case, 0.0, seeds) for way in ways]
        pictures = drawn(make, [recipe for of_one_seed in zip(*arms, strict=True) for recipe in of_one_seed])
        for place, way in enumerate(ways):
            found[way.name][case] = pictures[place :: len(ways)]
    return found


def joined(parts: Iterable[Cell]) -> list[Cell]:
    """The cells of equal ways and strengths as one, whose distance is the mean of theirs."""
    alike: dict[tuple[str, float], list[Cell]] = {}
    for one in parts:
        alike.setdefault((one.name, one.weight), []).append(one)
    return [
        Cell(
            *key,
            removed=[x for one in found for x in one.removed],
            kept=[x for one in found for x in one.kept],
            rows=float(np.average([one.rows for one in found], weights=[len(one.kept) for one in found])),
            distance=float(np.mean([one.distance for one in found])),
        )
        for key, found in alike.items()
    ]


def measured(make: Maker, way: Way, weight: float, before: dict[Case, list], seeds: Sequence[int]) -> Cell:
    """A way at a strength, against the same way without a negative; drawn in one go, so that no core waits."""
    recipes = [recipe for case in before for recipe in recipes_of(way, case, weight, seeds)]
    first, after = list(chain.from_iterable(before.values())), drawn(make, recipes)
    shots, removed = list[Shot](), list[float]()
    for recipe, (old, _), (new, _) in zip(recipes, first, after, strict=True):
        presence = build(f"presence:{recipe.negative[0].text}")
        had, has = (presence.score([Shot(image, recipe)])[0] for image in (old, new))
        removed += [1 - has] if had else []
        shots.append(Shot(new, recipe, old))
    rows = sum(asked for _, asked in after) / len(after) / STEPS
    kept = [round(one, 4) for one in build("kept").score(shots)]
    return Cell(way.name, weight, removed, kept, rows, build("distance").score(shots)[0])


def recipes_of(way: Way, case: Case, weight: float, seeds: Sequence[int]) -> list[Recipe]:
    negative = Negative(case[1], weight) if weight else None
    return [Recipe(case[0], negative, seed, **({"steps": STEPS} | way.fields)) for seed in seeds]


def drawn(make: Maker, recipes: list[Recipe]) -> list[tuple]:
    """Pictures and the rows they asked for, in the order of the recipes."""
    made = sorted(make(recipes), key=lambda one: one.index)
    failures = [one.failure for one in made if one.failure]
    assert not failures, failures[0]
    return [(one.image, one.receipt.rows_asked) for one in made if one.receipt]
