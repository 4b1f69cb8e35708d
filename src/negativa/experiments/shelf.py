"""The pictures of an ablation: made when they are missing, kept on the disk, scored once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from negativa.errors import InputError
from negativa.experiments import scoring
from negativa.experiments.making import Made, Maker
from negativa.experiments.scoring import Scores
from negativa.experiments.statistics import Difference, Estimate
from negativa.experiments.terms import Ablation, Terms
from negativa.language.files import make_folder
from negativa.plain.receipt import Receipt
from negativa.plain.recipe import Recipe

if TYPE_CHECKING:
    from negativa.measures import Measure, Shot

Found = TypeVar("Found")


@dataclass(frozen=True)
class Drawn:
    """A picture of the arm that keeps these terms, or why there is none."""

    terms: Terms
    seed: int
    made: Made


class Shelf:
    """Every picture there is of an ablation, on the disk, and what it scored."""

    def __init__(self, plan: Ablation, make: Maker, folder: Path) -> None:
        self.plan, self.make, self.folder = plan, make, folder
        self.receipts: dict[Recipe, Receipt] = {}
        self.failures: dict[str, None] = {}
        self._scores: dict[tuple[str, Terms], Scores] = {}

    def draw(self, arms: Sequence[Terms]) -> Iterator[Drawn]:
        """Make what is not there yet, seed after seed, so that arms share what is equal and seeds are complete early."""
        from negativa.language import pictures

        todo = [(arm, seed) for seed in self.plan.seeds for arm in arms if self.plan.at(arm, seed) not in self.receipts]
        for made in self.make([self.plan.at(arm, seed) for arm, seed in todo]):
            arm, seed = todo[made.index]
            if (why := made.unusable) or made.image is None or made.receipt is None:
                self.failures[why] = None
            else:
                recipe = self.plan.at(arm, seed)
                make_folder("out", self.folder)  # only now: a run that made nothing leaves nothing
                pictures.save(self._path(recipe), made.image, made.receipt, overwrite=True)
                self.receipts[recipe] = made.receipt
            yield Drawn(arm, seed, made)

    def seeds(self, arms: Sequence[Terms]) -> tuple[int, ...]:
        """The seeds that all of these arms have a picture of."""
        return tuple(s for s in self.plan.seeds if all(self.plan.at(arm, s) in self.receipts for arm in arms))

    def settle(self) -> None:
        """From here on count only the seeds that every arm has a picture of."""
        self.plan = replace(self.plan, seeds=self.seeds(self.plan.arms))

    def rows(self, arm: Terms) -> float:
        """Network rows asked per picture of an arm."""
        asked = [self.receipts[self.plan.at(arm, seed)].rows_asked for seed in self.seeds([arm])]
        return sum(asked) / len(asked)

    def scores(self, measure: Measure, arm: Terms) -> Scores:
        """What the pictures of an arm score, each once."""
        if (measure.label, arm) not in self._scores:
            self._scores[measure.label, arm] = scoring.score(measure, self.shots(arm))
        return self._scores[measure.label, arm]

    def estimate(self, measure: Measure, arm: Terms) -> Estimate:
        """What an arm is worth. Raises `InputError` if none of its scores is a number."""
        return _there(measure, scoring.estimate(self.scores(measure, arm)))

    def compare(self, measure: Measure, before: Terms, after: Terms) -> Difference:
        """The paired difference of two arms over the seeds that both have. Raises `InputError` as `estimate` does."""
        if measure.over == "arm":
            found = scoring.score_alike(measure, self._both(before, after))
        else:
            found = self.scores(measure, before), self.scores(measure, after)
        return _there(measure, scoring.compare(*found))

    def shots(self, arm: Terms) -> dict[int, Shot]:
        """The pictures of an arm by seed, each beside that without a negative."""
        return self._both((), arm)

    def _both(self, before: Terms, after: Terms) -> dict[int, Shot]:
        """The pictures of two arms, one of which has all terms of the other and says what both are held to."""
        from PIL import Image

        from negativa.measures import Shot

        shots: dict[int, Shot] = {}
        for seed in self.seeds([before, after]):
            asked = self.receipts[self.plan.at(max(before, after, key=len), seed)].recipe
            images = [Image.open(self._path(self.plan.at(terms, seed))).convert("RGB") for terms in (after, before)]
            shots[seed] = Shot(images[0], asked, images[1], (self.plan.whole.text,))
        return shots

    def _path(self, recipe: Recipe) -> Path:
        return self.folder / f"{recipe.hash}.png"


def _there(measure: Measure, found: Found | None) -> Found:
    if found is None:
        raise InputError(f"{measure.label}: no score of an arm is a finite number; allowed: pictures that it can score")
    return found
