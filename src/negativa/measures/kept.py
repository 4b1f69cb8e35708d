"""Kept: whether the rest of the picture stayed as it was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from negativa.measures.measure import Measure, Shot
from negativa.measures.pictures import pairs
from negativa.measures.reading import found, is_terrarium
from negativa.measures.ssim import structural_similarity
from negativa.terrarium import ATTRIBUTES
from negativa.terrarium.painter import SCENES
from negativa.terrarium.reader import named


@dataclass(frozen=True)
class Kept(Measure):
    """Share of what the negative does not name that is as it was without the negative, 0 to 1.

    In terrarium's pictures: of all that the reader knows about the kinds of scene that it sees before or after, but for what
    stands by name in the negative, or in that of an arm that it is compared with, the share whose answer, there or not
    there, is the same. Each name counts for itself: brown hair turned black is two changes. In other models' pictures: SSIM
    (see `ssim`), which is stricter, so compare within one model only.
    """

    name: ClassVar = "kept"
    unit: ClassVar = "share of attributes (terrarium) or SSIM (other models)"
    better: ClassVar = "more"
    over: ClassVar = "pair"

    def score(self, shots: Sequence[Shot]) -> list[float]:
        scores: list[float] = []
        for (before, after), shot in zip(pairs(self, shots), shots, strict=True):
            if not is_terrarium(shot):
                scores.append(structural_similarity(before, after))
                continue
            first, second = found(before), found(after)
            others = _asked_of(first | second) - named([*(one.text for one in shot.recipe.negative), *shot.compared])
            changed = (first ^ second) & others
            scores.append(1 - len(changed) / len(others) if others else 1.0)
        return scores


def _asked_of(seen: set[str]) -> set[str]:
    """The attributes but for those that only kinds of scene have which were not seen: a face has no lawn to keep."""
    mine = {one.name for scene in SCENES.values() if scene.name in seen for one in scene.attributes}
    elsewhere = {one.name for scene in SCENES.values() if scene.name not in seen for one in scene.attributes}
    return set(ATTRIBUTES) - (elsewhere - mine)
