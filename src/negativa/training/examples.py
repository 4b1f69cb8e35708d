"""Which pictures the denoiser is shown, and what it is told of them."""

from __future__ import annotations

from typing import Final

import numpy as np

from negativa.terrarium.captions import caption
from negativa.terrarium.painter import ATTRIBUTES
from negativa.training.data import truth_of

RARE: Final = 1 / 30  # of the pictures: what fewer have is hardly ever named
NAMED: Final = 0.1  # of what is shown, for the sake of something rare, in captions that name it
TRIES: Final = 30  # captions until one does


class Examples:
    """Pictures by chance, with captions written anew every time.

    A tenth are shown because of something rare, and their captions name it: so the model learns what the word means, and
    not to draw it unasked. `truths` is (pictures, attributes), bool.
    """

    def __init__(self, truths: np.ndarray) -> None:
        self._truths = truths
        self._rare = {i: np.flatnonzero(truths[:, i]) for i, share in enumerate(truths.mean(0)) if 0 < share < RARE}

    def draw(self, rng: np.random.Generator, count: int) -> tuple[np.ndarray, list[str]]:
        """Numbers of pictures, (count,), and their captions."""
        rare = rng.choice([*self._rare], round(NAMED * count)) if self._rare else []
        shown = [(int(rng.choice(self._rare[one])), ATTRIBUTES[one]) for one in rare]
        shown += [(int(row), "") for row in rng.integers(len(self._truths), size=count - len(shown))]
        rng.shuffle(shown)  # type: ignore[arg-type]  # rows at all timesteps
        return np.array([row for row, _ in shown]), [self._caption(row, name, rng) for row, name in shown]

    def _caption(self, row: int, name: str, rng: np.random.Generator) -> str:
        truth = truth_of(self._truths[row])
        texts = (caption(truth, rng) for _ in range(TRIES))
        return next((text for text in texts if name in text), name)
