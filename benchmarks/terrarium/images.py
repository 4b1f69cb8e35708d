"""Image prompts, and how far generated pictures are from painted ones."""

from __future__ import annotations

import numpy as np
from common import FIRST_SEED, STEPS, Bar, draw, read, seeded, subject
from parts import held_out, through
from PIL import Image
from scipy.linalg import sqrtm

import negativa
from negativa import Recipe
from negativa.terrarium.painter import SCENES
from negativa.terrarium.reader import features

SHOWN = 60  # held-out paintings given as image prompts
WANTED = {"base": 75, "plus": 85}


def bars() -> tuple[list[Bar], dict[str, list[Image.Image]]]:
    """The bars, and pictures beside what was shown."""
    pictures, truths = held_out()
    pictures, truths = pictures[:SHOWN], truths[:SHOWN]
    found, contact = [], {"shown": pictures[:10]}
    for kind, wanted in WANTED.items():
        drawn = prompted(kind, pictures)
        contact[kind] = drawn[:10]
        through_it = [
            np.mean([reading[name] > 0.5 for name, there in truth.items() if there])
            for reading, truth in zip(read(drawn), truths, strict=True)
        ]
        found.append(
            Bar(
                f"image prompt, {kind}: what is in the picture comes through, {SHOWN} pictures",
                100 * float(np.mean(through_it)),
                wanted,
            )
        )
    return found + distances(), contact


def prompted(kind: str, shown: list[Image.Image]) -> list[Image.Image]:
    """One picture for each image prompt, without words."""
    images = [negativa.Image(picture, kind) for picture in shown]
    recipes = [Recipe("", images=(image,), seed=FIRST_SEED + i, steps=STEPS) for i, image in enumerate(images)]
    return draw(recipes, f"image prompts, {kind}")


def distances() -> list[Bar]:
    """Fréchet distances of the reader's features to painted pictures: of generated ones, and of the paintings themselves
    after the autoencoder, which no model above it can beat.
    """
    pictures, _ = held_out()
    half = len(pictures) // 2
    restored = [through(picture) for picture in pictures[half:]]
    shares = {name: round(scene.share * half) for name, scene in SCENES.items()}
    drawn = [image for name, count in shares.items() for image in draw(seeded(Recipe(subject(SCENES[name])), count))]
    painted = features(pictures[:half])
    return [
        Bar(
            "Fréchet distance to paintings: other paintings after the autoencoder",
            frechet(painted, features(restored)),
            None,
            "",
        ),
        Bar("Fréchet distance to paintings: generated pictures", frechet(painted, features(drawn)), None, ""),
    ]


def frechet(first: np.ndarray, second: np.ndarray) -> float:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)) of two sets of features (Heusel et al. 2017, arXiv 1706.08500)."""
    c1, c2 = np.cov(first.T), np.cov(second.T)
    root = sqrtm(c1 @ c2).real
    return float(np.sum((first.mean(0) - second.mean(0)) ** 2) + np.trace(c1 + c2 - 2 * root))
