"""CLIP similarity: whether a picture still means the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from negativa.measures.clip import clip
from negativa.measures.measure import Measure, Shot
from negativa.measures.pictures import pairs


@dataclass(frozen=True)
class ClipKept(Measure):
    """Cosine of the CLIP embeddings of a picture and the one without the negative: 1 is the same, at least -1.

    `weights`: a folder or a Hugging Face id of a CLIP model. Radford et al. 2021, arXiv 2103.00020.
    """

    weights: str

    name: ClassVar = "clip_kept"
    unit: ClassVar = "cosine, -1 to 1"
    better: ClassVar = "more"
    over: ClassVar = "pair"
    needs: ClassVar = "CLIP weights"

    def check(self) -> None:
        clip(self.weights)

    def score(self, shots: Sequence[Shot]) -> list[float]:
        model = clip(self.weights)
        both = [model.images(pair) for pair in pairs(self, shots)]
        return [float(before @ after) for before, after in both]
