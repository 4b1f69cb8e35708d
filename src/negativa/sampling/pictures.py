"""The pictures that the passes of a step read beside their texts.

The prompt's passes read the images that act, the pass of an image negative reads its picture beside the recipe's nothing, and
that of what it keeps the picture of this. Two passes that are compared must differ in what they show, not in whether they
look: where a picture acts on either side, every pass of the step that has none for its adapter reads what stands for no image
there, as loudly as the prompt's pictures are read, or, where it has none, the negatives'.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import chain

from negativa.plain.conditions import Shown, text_of
from negativa.plain.images import Blank, Image
from negativa.plain.passes import Pass, negative
from negativa.plain.recipe import Recipe
from negativa.sampling.passes import OURS, Blend

Weighed = tuple[Image, float]


def pictured(named: Mapping[str, Blend], recipe: Recipe, step: int, heard: Collection[str]) -> dict[str, Blend]:
    """The passes of a step with their pictures; `heard` are the names of the negatives that the rule reads now."""
    ours = [(_alone(one), one.weight) for one in recipe.images if one.acts_at(step, recipe.steps)]
    theirs = {
        negative(i): [(_alone(image), one.weight) for image in (one.condition, one.keep) if image]
        for i, one in enumerate(recipe.negative)
        if isinstance(one.condition, Image) and negative(i) in heard
    }
    loudest = _loudest(chain.from_iterable(theirs.values())) | _loudest(ours)
    if not loudest:
        return dict(named)
    blanks = {name: (Blank(name, recipe.no_image), weight) for name, weight in loudest.items()}

    def shown(one: Pass, mine: Sequence[Weighed]) -> Pass:
        others = (blank for adapter, blank in blanks.items() if adapter not in {image.adapter for image, _ in mine})
        return replace(one, condition=Shown(text_of(one.condition), (*mine, *others)))

    def read(name: str, blend: Blend) -> Blend:
        each = [[one] for one in theirs[name]] if name in theirs else [ours if name in OURS else []] * len(blend)
        return tuple((shown(one, mine), weight) for (one, weight), mine in zip(blend, each, strict=True))

    return {name: read(name, blend) for name, blend in named.items()}


@lru_cache(maxsize=1024)
def _alone(image: Image) -> Image:
    """The image without its weight and window, so that equal passes are known as such."""
    return replace(image, weight=1.0, start=0.0, stop=1.0)


def _loudest(pictures: Iterable[Weighed]) -> dict[str, float]:
    """The largest weight by adapter."""
    found: dict[str, float] = {}
    for one, weight in pictures:
        found[one.adapter] = max(weight, found.get(one.adapter, 0.0))
    return found
