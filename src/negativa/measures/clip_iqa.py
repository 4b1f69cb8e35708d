"""CLIP-IQA: whether a picture looks like a good photo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from negativa.measures.clip import clip
from negativa.measures.measure import Measure, Shot

TEXTS: Final = ("Good photo.", "Bad photo.")


@dataclass(frozen=True)
class ClipIQA(Measure):
    """How much nearer a picture is to "Good photo." than to "Bad photo.", 0 to 1; 0.5 is between the two.

    The softmax of the two cosines times the model's own factor: Wang et al. 2022, "Exploring CLIP for assessing the look and
    feel of images", arXiv 2207.12396, equation 3, without its removal of position embeddings.
    `weights`: a folder or a Hugging Face id of a CLIP model.
    """

    weights: str

    name: ClassVar = "clip_iqa"
    unit: ClassVar = "probability of the good one of two texts"
    better: ClassVar = "more"
    needs: ClassVar = "CLIP weights"

    def check(self) -> None:
        clip(self.weights)

    def score(self, shots: Sequence[Shot]) -> list[float]:
        from scipy.special import expit

        model = clip(self.weights)
        good, bad = model.texts(TEXTS)
        return [float(expit(model.sharpness * (model.images([shot.image])[0] @ (good - bad)))) for shot in shots]
