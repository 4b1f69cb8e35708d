"""Prompts: what is asked for appears, what is not mentioned appears at the painter's rate, "without" does not help."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
from common import Bar, asked_for, draw, every_attribute, read, share, subject
from common import seeded as at_scale
from PIL import Image

from negativa import Recipe
from negativa.terrarium.painter import SCENES
from negativa.terrarium.scene import Attribute, Scene

SCALE = 5.0
FEW = 16  # seeds for each attribute
PAINTED = 2000  # truths drawn to learn the painter's rates
HEADER = (
    f"| attribute | asked for, {FEW} pictures | not mentioned, {FEW * 2} | without guidance, {FEW * 2} | painted, {PAINTED} |"
)


def seeded(recipe: Recipe, count: int) -> list[Recipe]:
    return at_scale(recipe, count, SCALE)


def unguided(recipe: Recipe, count: int) -> list[Recipe]:
    return at_scale(recipe.replace(rule="none"), count)


def bars() -> tuple[list[Bar], list[str], dict[str, list[Image.Image]]]:
    """The bars, a table of rates, and pictures of each attribute asked for."""
    draw([one for recipe, seeds in everything() for one in seeded(recipe, seeds)], "words")
    draw([one for scene in SCENES.values() for one in unguided(Recipe(subject(scene)), FEW * 2)], "without guidance")
    silent = {name: read(draw(seeded(Recipe(subject(scene)), FEW * 2))) for name, scene in SCENES.items()}
    free = {name: read(draw(unguided(Recipe(subject(scene)), FEW * 2))) for name, scene in SCENES.items()}
    obeyed, off, off_free, naive = dict[str, float](), dict[str, float](), dict[str, float](), list[bool]()
    lines, contact = (
        [HEADER, "|---|---|---|---|---|"],
        dict[str, list[Image.Image]](),
    )
    for scene, attribute in every_attribute():
        name = f"{scene.name}: {attribute.name}"
        drawn = draw(seeded(Recipe(asked_for(scene, attribute)), FEW))
        contact[name] = drawn[:8]
        obeyed[name] = share(read(drawn), attribute.name)
        unasked, painted = share(silent[scene.name], attribute.name), rate(scene, attribute.name)
        alone = share(free[scene.name], attribute.name)
        if attribute.name not in scene.subjects:
            off[name], off_free[name] = abs(unasked - painted), abs(alone - painted)
        lines.append(f"| {name} | {obeyed[name]:.0f} % | {unasked:.0f} % | {alone:.0f} % | {painted:.0f} % |")
        if often(scene, attribute):
            literal = draw(seeded(without(scene, attribute), FEW * 2))
            naive.append(share(read(literal), attribute.name) >= unasked)
    worst = min(obeyed, key=obeyed.__getitem__)
    said = "not mentioned, appears: points off the painter's rate"
    found = [
        Bar("asked for, appears: mean", float(np.mean([*obeyed.values()])), 95),
        Bar(f"asked for, appears: worst ({worst})", obeyed[worst], 88),
        *rates(said, off),
        *rates(f"{said}, without guidance", off_free),
        Bar("“without X” in the prompt draws X no less often", 100 * float(np.mean(naive)), 100),
    ]
    return found, lines, contact


def rates(name: str, off: dict[str, float]) -> list[Bar]:
    """The bars of how far attributes are off, on the average and at most."""
    worst = max(off, key=off.__getitem__)
    return [
        Bar(f"{name}: mean", float(np.mean([*off.values()])), 12, "", most=True),
        Bar(f"the same, worst ({worst})", off[worst], 12, "", most=True),
    ]


def everything() -> Iterator[tuple[Recipe, int]]:
    """All recipes whose pictures are read, with the number of their seeds, to be drawn side by side."""
    for scene in SCENES.values():
        yield Recipe(subject(scene)), FEW * 2
    for scene, attribute in every_attribute():
        yield Recipe(asked_for(scene, attribute)), FEW
        if often(scene, attribute):
            yield without(scene, attribute), FEW * 2


def often(scene: Scene, attribute: Attribute) -> bool:
    """Whether enough pictures have it unasked for "without" to tell."""
    return rate(scene, attribute.name) >= 30 and attribute.name not in scene.subjects


def without(scene: Scene, attribute: Attribute) -> Recipe:
    return Recipe(f"{subject(scene)} without {attribute.phrase}")


@cache
def rate(scene: Scene, name: str) -> float:
    """How often the painter draws the attribute in pictures that the subject of this scene's prompt fits, in percent."""
    given = {scene.subjects[0]: True} if scene.subjects else {}
    truths = [scene.truth(np.random.default_rng([2, i]), given) for i in range(PAINTED)]
    return 100 * float(np.mean([truth[name] for truth in truths]))
