"""The pictures that terrarium is trained on, painted once and kept beside the checkpoints."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import numpy as np

from negativa.language.files import make_folder, output
from negativa.terrarium.canvas import SIZE
from negativa.terrarium.painter import ATTRIBUTES, paint
from negativa.terrarium.scene import Truth
from negativa.training.progress import Progress

TELL = 200  # pictures between two words of progress


def painted(count: int, seed: int, folder: Path) -> Generator[Progress, None, tuple[np.ndarray, np.ndarray]]:
    """Paint, and tell of it; returns pictures (count, 128, 128, 3), uint8, and truths (count, attributes), bool.

    Read from `folder` if already there.
    """
    kept = folder / f"painted-{count}-{seed}.npz"
    if not kept.exists():
        pictures = np.empty((count, SIZE, SIZE, 3), np.uint8)
        truths = np.empty((count, len(ATTRIBUTES)), bool)
        for i in range(count):
            picture, truth = paint(np.random.default_rng([seed, i]))
            pictures[i] = np.asarray(picture)
            truths[i] = [truth.get(name, False) for name in ATTRIBUTES]
            if (i + 1) % TELL == 0 or i + 1 == count:
                yield Progress("painting", i + 1, count)
        make_folder("folder", folder)
        with output("folder", kept) as file:
            np.savez(file, pictures=pictures, truths=truths)
    with np.load(kept) as arrays:
        return arrays["pictures"], arrays["truths"]


def truth_of(row: np.ndarray) -> Truth:
    """A row of truths as the painter said it."""
    return dict(zip(ATTRIBUTES, map(bool, row), strict=True))
