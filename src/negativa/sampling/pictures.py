"""The pictures that the passes of a step read beside their texts.

The prompt's passes read the images that act, the pass of an image negative reads its picture beside the recipe's nothing. Two
passes that are compared must differ in what they show, not in whether they look: where a picture acts on either side, every
pass of the step that has none for its adapter reads what stands for no image there, as loudly as the prompt's pictures are
read, or, where it has none, the negatives'.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import lru_cache

from negativa.plain.conditions import Shown, text_of
from negativa.plain.images import Blank, Image
from negativa.plain.passes import negative
from negativa.plain.recipe import Recipe
from negativa.sampling.passes import OURS, Blend

Weighed = tuple[Image, float]


def pictured(named: Mapping[str, Blend], recipe: Recipe, step: int, heard: Collection[str]) -> dict[str, Blend]:
    """The passes of a step with their pictures; `heard` are the names of the negatives that the rule reads now."""
    ours = [(_alone(one), one.weight) for one in recipe.images if one.acts_at(step, recipe.steps)]
    theirs = {
        negative(i): (_alone(one.condition), one.weight)
        for i, one in enumerate(recipe.negative)
        if isinstance(one.condition, Image) and negative(i) in heard
    }
    loudest = _loudest(theirs.values()) | _loudest(ours)
    if not loudest:
        return dict(named)
    blanks = {name: (Blank(name, recipe.no_image), weight) for name, weight in loudest.items()}

    def read(name: str) -> tuple[tuple[Image | Blank, float], ...]:
        mine = ours if name in OURS else [theirs[name]] if name in theirs else []
        return (*mine, *(blank for adapter, blank in blanks.items() if adapter not in {one.adapter for one, _ in mine}))

    return {
        name: tuple((replace(one, condition=Shown(text_of(one.condition), read(name))), weight) for one, weight in blend)
        for name, blend in named.items()
    }


@lru_cache(maxsize=1024)
def _alone(image: Image) -> Image:
    """The image without its weight and window, so that equal passes are known as such."""
    return replace(image, weight=1.0, start=0.0, stop=1.0)


def _loudest(pictures: Collection[Weighed]) -> dict[str, float]:
    """The largest weight by adapter."""
    found: dict[str, float] = {}
    for one, weight in pictures:
        found[one.adapter] = max(weight, found.get(one.adapter, 0.0))
    return found
