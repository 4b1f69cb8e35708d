"""What all figures of the report share: seeds, drawing, reading, and a figure beside what is wanted of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

import negativa
from negativa import Recipe
from negativa.terrarium import read_many
from negativa.terrarium.captions import PLACES, article
from negativa.terrarium.painter import SCENES
from negativa.terrarium.scene import Attribute, Scene

DOCS = Path(__file__).parents[2] / "docs"
FIRST_SEED = 1000  # seeds from here on are fresh: no tuning looked at them
SCALE, STEPS = 5.0, 30
Readings = list[dict[str, float]]


@dataclass(frozen=True)
class Bar:
    """Something measured beside what is wanted of it; `wanted` None is reported only."""

    name: str
    measured: float
    wanted: float | None
    unit: str = "%"
    most: bool = False

    @property
    def met(self) -> bool:
        if self.wanted is None:
            return True
        return self.measured <= self.wanted if self.most else self.measured >= self.wanted

    def __str__(self) -> str:
        said = "" if self.wanted is None else f"at {'most' if self.most else 'least'} {self.wanted:g} {self.unit}"
        return f"| {self.name} | {self.measured:.1f} {self.unit} | {said}{'' if self.met else ' (**missed**)'} |"


def draw(studio: negativa.Studio, recipes: list[Recipe]) -> list[Image.Image]:
    """Pictures of recipes, in their order."""
    found = {result.receipt.recipe: result.image for result in studio.generate_many(recipes)}
    return [found[studio.complete(recipe)] for recipe in recipes]


def seeded(recipe: Recipe, count: int) -> list[Recipe]:
    """The recipe with the report's seeds, at its scale and steps."""
    return [recipe.replace(seed=FIRST_SEED + i, scale=SCALE, steps=STEPS) for i in range(count)]


def read(images: list[Image.Image]) -> Readings:
    return [reading for i in range(0, len(images), 50) for reading in read_many(images[i : i + 50])]


def share(readings: Readings, name: str) -> float:
    """Percentage of pictures that have the attribute."""
    return 100 * float(np.mean([reading[name] > 0.5 for reading in readings]))


def subject(scene: Scene) -> str:
    """What a prompt for this kind of picture calls it."""
    return f"photo of {article(scene.subjects[0] if scene.subjects else scene.name)}"


def asked_for(scene: Scene, attribute: Attribute) -> str:
    """A prompt that asks for the attribute."""
    if attribute.name in scene.subjects:
        return f"photo of {article(attribute.name)}"
    return f"{subject(scene)}{' ' if attribute.phrase.startswith(PLACES) else ' with '}{attribute.phrase}"


def every_attribute() -> Iterator[tuple[Scene, Attribute]]:
    for scene in SCENES.values():
        for attribute in scene.attributes:
            yield scene, attribute
