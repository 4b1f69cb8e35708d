"""`negativa check`: does my negative do anything? Said before a picture is made, and measured on demand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from negativa.apps.cli import options
from negativa.apps.cli.flat import flat
from negativa.apps.cli.screen import progress
from negativa.apps.cli.settings import Away, Machine, Settings
from negativa.apps.cli.texts import understood
from negativa.plain.conditions import NOTHINGS, Negative
from negativa.plain.recipe import Recipe

SEEDS = 4  # of a measurement


@flat
def check(
    *,
    prompt: options.Prompt,
    away: Away,
    measure: Annotated[
        bool, typer.Option("--measure", help="Draw with and without each negative, and say what moved.")
    ] = False,
    settings: Settings,
    literal: options.Literal = False,
    machine: Machine,
) -> None:
    """Say what of a prompt and its negatives has no effect: negativa check "a man without a hat" -n "hat, hat" --scale 1"""
    from negativa.notices import said_of
    from negativa.studio import load

    texts = understood(prompt, away.negative, literal)
    recipe = Recipe(texts.prompt or "", away.beside(texts.negatives), **settings.fields())
    studio = load(recipe.model or "terrarium", **machine.loading)
    recipe = studio.complete(recipe)
    print(f"prompt: {recipe.prompt!r}")
    for one in recipe.images:
        print(f"image: {one.name!r}, weight {one.weight:g}, from {one.start:g} to {one.stop:g} of the steps")
    for file, weight in recipe.loras:
        print(f"lora: {file!r}, weight {weight:g}")
    for one in recipe.negative:
        print(f"negative: {_said(one)}")
    if not recipe.negative:
        print(f"negative: none; what guides away is {NOTHINGS[recipe.nothing or studio.denoiser.nothing]}")
    for notice in (said := (*texts.notices, *machine.unread(recipe), *said_of(recipe, studio.denoiser))):
        print(f"notice: {notice}")
    if not said:
        print("nothing to object")
    if not measure:
        return
    every = recipe.negative
    without: list[tuple[str, tuple[Negative, ...]]] = [("all of them", ())] if len(every) != 1 else []
    without += [(_named(one, every), (*every[:i], *every[i + 1 :])) for i, one in enumerate(every)]
    arms = [recipe, *(recipe.replace(negative=left) for _, left in without)]
    made = studio.stream([arm.replace(seed=seed) for arm in arms for seed in range(SEEDS)])
    images = [*_in_order(progress(made, total=len(arms) * SEEDS))]
    for i, (name, _) in enumerate(without, 1):
        moved = [_moved(images[seed], images[i * SEEDS + seed]) for seed in range(SEEDS)]
        print(f"without {name}: {sum(moved) / SEEDS:.1%} of the picture's brightness moves, seeds 0 to {SEEDS - 1}")


def _said(one: Negative) -> str:
    """A negative with its weight and window."""
    return f"{one.label}, weight {one.weight:g}, from {one.start:g} to {one.stop:g} of the steps"


def _named(one: Negative, every: Sequence[Negative]) -> str:
    """What tells a negative from the others: its words, with weight and window where another has the same."""
    return one.label if [other.label for other in every].count(one.label) == 1 else _said(one)


def _in_order(events: Any) -> list[Any]:
    """The pictures of a stream, in the order of their recipes."""
    from negativa.studio import Result

    return [one.image for one in sorted((e for e in events if isinstance(e, Result)), key=lambda one: one.index)]


def _moved(before: Any, after: Any) -> float:
    """The mean absolute difference of two pictures, as a share of the whole range."""
    import numpy as np

    return float(np.abs(np.asarray(before, float) - np.asarray(after, float)).mean() / 255)
