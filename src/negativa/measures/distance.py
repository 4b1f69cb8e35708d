"""Distance: how far an arm's pictures are from what the painter would have painted."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import ClassVar, Final

import numpy as np

from negativa.errors import InputError
from negativa.measures.measure import Measure, Shot
from negativa.measures.pictures import several
from negativa.measures.reading import features, insist
from negativa.terrarium import paint
from negativa.terrarium.painter import SCENES
from negativa.terrarium.reader import features as reader_features
from negativa.terrarium.reader import named

PAINTED: Final = 256  # pictures that stand for the painter, for each prompt and negative


@dataclass(frozen=True)
class Distance(Measure):
    """Fréchet distance of an arm's pictures to painted ones, in features of terrarium's reader: 0 is alike.

    Heusel et al. 2017, arXiv 1706.08500, equation 6, with the reader in Inception's place. For each prompt and negative of the
    arm 256 pictures are painted that have what the prompt names and have not what the negative names, as far as the painter
    can. A study holds what it compares with an arm to the same paintings. Few pictures make it larger, so compare arms of
    equal n only.
    """

    name: ClassVar = "distance"
    unit: ClassVar = "squared distance in reader features, 0 or more"
    better: ClassVar = "less"
    over: ClassVar = "arm"
    needs: ClassVar = "pictures of terrarium"

    def score(self, shots: Sequence[Shot]) -> list[float]:
        several(self, shots)
        insist(self, shots)
        asked = dict.fromkeys((shot.recipe.prompt, tuple(n.text for n in shot.recipe.negative)) for shot in shots)
        return [frechet(features(shots), np.concatenate([_painted(*each) for each in asked]))]


def frechet(first: np.ndarray, second: np.ndarray) -> float:
    """Fréchet distance of the Gaussians that fit two sets of rows, each (at least 2, features).

    |m1 - m2|^2 + tr(C1) + tr(C2) - 2 tr((C1 C2)^(1/2)). The last trace is the sum of the singular values of A B^T, where
    A and B are the centred rows divided by sqrt(rows - 1): no root of a matrix is taken.
    """
    means = [rows.mean(axis=0) for rows in (first, second)]
    a, b = ((rows - mean) / np.sqrt(len(rows) - 1) for rows, mean in zip((first, second), means, strict=True))
    overlap = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    return float(max(0.0, ((means[0] - means[1]) ** 2).sum() + (a**2).sum() + (b**2).sum() - 2 * overlap))


@cache
def _painted(prompt: str, negatives: tuple[str, ...]) -> np.ndarray:
    wanted, unwanted = named([prompt]), named(negatives)
    kind = next((name for name in SCENES if name in wanted), None)
    given = dict.fromkeys(sorted(wanted), True) | dict.fromkeys(sorted(unwanted - wanted), False)
    asked: dict[str, bool] = {}
    for name, there in given.items():
        more = asked | {name.replace(" ", "_"): there}
        with suppress(InputError):  # a house has no mustache to leave out
            paint(np.random.default_rng(0), kind, **more)
            asked = more
    return reader_features([paint(np.random.default_rng([4, i]), kind, **asked)[0] for i in range(PAINTED)])
