"""Obedience: whether a picture shows what the prompt asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from negativa.errors import InputError
from negativa.measures.clip import clip
from negativa.measures.measure import Measure, Shot
from negativa.measures.reading import found, insist
from negativa.terrarium.reader import named


@dataclass(frozen=True)
class Obedience(Measure):
    """How much of the prompt a picture shows.

    Without `weights`, in terrarium's pictures: the share (0 to 1) of the attributes standing in the prompt by name that the
    reader finds. With `weights`, a folder or a Hugging Face id of a CLIP model: the CLIP score, 100 times the cosine of
    prompt and picture, at least 0 (Hessel et al. 2021, arXiv 2104.08718, scaled as in torchmetrics). Both take the words
    literally: "without a hat" asks for a hat.
    """

    weights: str = ""

    name: ClassVar = "obedience"
    unit: ClassVar = "share of named attributes (terrarium) or CLIP score, 0 to 100"
    better: ClassVar = "more"
    needs: ClassVar = "pictures of terrarium, or CLIP weights"

    def check(self) -> None:
        if self.weights:
            clip(self.weights)

    def score(self, shots: Sequence[Shot]) -> list[float]:
        if self.weights:
            return [self._clip_score(shot) for shot in shots]
        insist(self, shots, "obedience:WEIGHTS")
        return [_share(shot) for shot in shots]

    def _clip_score(self, shot: Shot) -> float:
        model = clip(self.weights)
        return max(0.0, 100 * float(model.images([shot.image])[0] @ model.texts([shot.recipe.prompt])[0]))


def _share(shot: Shot) -> float:
    asked = named([shot.recipe.prompt])
    if not asked:
        raise InputError(f"obedience: the prompt {shot.recipe.prompt!r} names nothing that terrarium's reader knows")
    return len(asked & found(shot.image)) / len(asked)
