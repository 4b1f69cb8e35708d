"""Pictures of one seed that are the same though their recipes differ: what differs between them has no effect."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from negativa.plain.recipe import Recipe

SQUARES: Final = 16  # a side, whose means stand for a picture
SAME: Final = 0.1  # of 255, by which such means may differ in pictures that are one, to rounding


class Looks:
    """What is kept of pictures, by their recipes, to tell which of them are the same."""

    def __init__(self) -> None:
        self._seeds: dict[int, dict[Recipe, tuple[tuple[int, int], NDArray[np.float32]]]] = {}

    def keep(self, recipe: Recipe, image: Image.Image) -> None:
        """Take note of a picture."""
        bands = (band.convert("F").resize((SQUARES, SQUARES), Image.Resampling.BOX) for band in image.convert("RGB").split())
        self._seeds.setdefault(recipe.seed, {})[recipe] = image.size, np.stack([np.asarray(band) for band in bands])

    def same(self, order: Iterable[Recipe]) -> Iterator[tuple[Recipe, Recipe]]:
        """Recipes in this order whose picture is that of an earlier one of their seed, each with the first such."""
        told: dict[int, list[Recipe]] = {}
        for recipe in order:
            looks, before = self._seeds.get(recipe.seed, {}), told.setdefault(recipe.seed, [])
            if recipe not in looks:
                continue
            size, squares = looks[recipe]
            alike = (one for one in before if looks[one][0] == size and np.abs(looks[one][1] - squares).max() < SAME)
            if (first := next(alike, None)) is None:
                before.append(recipe)
            else:
                yield recipe, first
