"""Presence: whether a picture shows a concept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from negativa.errors import InputError, nearest
from negativa.measures.clip import clip
from negativa.measures.measure import Measure, Shot
from negativa.measures.questions import answers, question_model
from negativa.measures.reading import found, insist
from negativa.terrarium import ATTRIBUTES

QUESTIONS: Final = "vqa="
FEWEST: Final = 8  # pictures without the negative that a threshold is drawn from
PARTED: Final = 0.8  # share of the variance between two groups that makes them two; a bell curve cut in half has 0.64


@dataclass(frozen=True)
class Presence(Measure):
    """1 where a picture shows `concept`, 0 where not; the mean over an arm is how often it is there.

    Without `weights`: one of terrarium's attributes in terrarium's pictures, there if the reader's probability is above 0.5.
    With `weights` of a CLIP model (a folder or a Hugging Face id): zero-shot, the cosine of the picture and "a picture of
    `concept`" less that of the picture and "a picture" (Radford et al. 2021, arXiv 2103.00020, section 3.1), against a
    threshold. The threshold is 0, which suits few models and concepts; where the pictures have at least 8 different
    `before` and those part into two groups, it lies in the middle of the gap that Otsu's method finds (1979, "A threshold
    selection method from gray-level histograms"): below are those that lack the concept by chance. Two groups are those
    with 80 % of the variance between them. Arms get the same threshold if they are given with the same `before`, and the
    one without a negative as its own.
    With `weights` "vqa=" and a visual question model: the first word of its answer to "Is there `concept` in the picture?".
    """

    concept: str
    weights: str = ""

    name: ClassVar = "presence"
    unit: ClassVar = "1 if there, 0 if not"
    better: ClassVar = "neither"
    needs: ClassVar = "an attribute of terrarium, CLIP weights, or a visual question model"

    def __post_init__(self) -> None:
        if not self.weights and self.concept not in ATTRIBUTES:
            raise InputError(
                f"presence: terrarium's reader does not know {self.concept!r}; {nearest(self.concept, ATTRIBUTES)}, "
                f"or with CLIP weights or a question model: presence:{self.concept}@WEIGHTS, presence:{self.concept}@vqa=MODEL"
            )

    def check(self) -> None:
        if self.weights.startswith(QUESTIONS):
            question_model(self.weights.removeprefix(QUESTIONS))
        elif self.weights:
            clip(self.weights)

    def score(self, shots: Sequence[Shot]) -> list[float]:
        if self.weights.startswith(QUESTIONS):
            question, images = f"Is there {self.concept} in the picture?", [shot.image for shot in shots]
            return [float(yes) for yes in answers(self.weights.removeprefix(QUESTIONS), question, images)]
        if self.weights:
            return self._zero_shot(shots)
        insist(self, shots, f"presence:{self.concept}@WEIGHTS")
        return [float(self.concept in found(shot.image)) for shot in shots]

    def _zero_shot(self, shots: Sequence[Shot]) -> list[float]:
        model = clip(self.weights)
        there, anything = model.texts([f"a picture of {self.concept}", "a picture"])
        before = {shot.before.tobytes(): shot.before for shot in shots if shot.before is not None}
        usual = model.images(list(before.values())) @ (there - anything) if len(before) >= FEWEST else []
        threshold = gap(usual)
        return [float(model.images([shot.image])[0] @ (there - anything) > threshold) for shot in shots]


def gap(values: Sequence[float] | np.ndarray) -> float:
    """The middle of the gap that best parts some numbers into two groups (Otsu 1979); 0 if they are not two groups."""
    rows = np.sort(np.asarray(values, dtype=np.float64))
    if not len(rows) or rows[0] == rows[-1]:
        return 0.0
    lower = np.arange(1, len(rows)) / len(rows)
    sums = rows.cumsum()[:-1] / len(rows)
    between = (rows.mean() * lower - sums) ** 2 / (lower * (1 - lower))
    cut = int(between.argmax())
    return float((rows[cut] + rows[cut + 1]) / 2) if between[cut] > PARTED * rows.var() else 0.0
