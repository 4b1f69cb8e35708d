"""The pictures that terrarium is trained on, painted once and kept beside the checkpoints."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from negativa.terrarium.painter import ATTRIBUTES, paint
from negativa.terrarium.scene import Truth


def painted(count: int, seed: int, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Pictures (count, 128, 128, 3), uint8, and truths (count, attributes), bool; read from `folder` if already there."""
    kept = folder / f"painted-{count}-{seed}.npz"
    if kept.exists():
        with np.load(kept) as arrays:
            return arrays["pictures"], arrays["truths"]
    pictures, truths = zip(*_paint(count, seed), strict=True)
    folder.mkdir(parents=True, exist_ok=True)
    arrays = np.stack(pictures), np.stack(truths)
    part = kept.with_suffix(".part.npz")
    np.savez(part, pictures=arrays[0], truths=arrays[1])
    part.replace(kept)
    return arrays


def _paint(count: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for i in range(count):
        picture, truth = paint(np.random.default_rng([seed, i]))
        yield np.asarray(picture), np.array([truth.get(name, False) for name in ATTRIBUTES])


def truth_of(row: np.ndarray) -> Truth:
    """A row of truths as the painter said it."""
    return dict(zip(ATTRIBUTES, map(bool, row), strict=True))
