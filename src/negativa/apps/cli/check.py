"""`negativa check`: does my negative do anything? Said before a picture is made, and measured on demand."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from negativa.apps.cli import compare, options
from negativa.apps.cli.images import parse_adapters, parse_image, together, unread
from negativa.apps.cli.screen import progress
from negativa.apps.cli.texts import understood

SEEDS = 4  # of a measurement


def check(
    prompt: options.Prompt,
    negative: options.Negatives = None,
    measure: Annotated[
        bool, typer.Option("--measure", help="Draw with and without each negative, and say what moved.")
    ] = False,
    scale: options.Scale = None,
    distilled_scale: options.DistilledScale = None,
    steps: options.Steps = None,
    sampler: options.Sampler = None,
    rule: options.Rule = None,
    knob: options.Knob = None,
    wrap: options.Wrap = None,
    window: options.Window = None,
    nothing: options.Nothing = None,
    model: options.Model = None,
    weaker: options.Weaker = None,
    syntax: options.Syntax = None,
    emphasis: options.Emphasis = None,
    literal: options.Literal = False,
    image: options.Images = None,
    negative_image: options.NegativeImages = None,
    keep_image: options.KeepImages = None,
    no_image: options.NoImage = None,
    adapter: options.Adapters = None,
    image_encoder: options.ImageEncoder = None,
    embeddings: options.Embeddings = None,
    lora: options.Loras = None,
    device: options.Device = None,
    dtype: options.Dtype = None,
) -> None:
    """Say what of a prompt and its negatives has no effect: negativa check "a man without a hat" -n "hat, hat" --scale 1"""
    from negativa.notices import said_of
    from negativa.plain.conditions import NOTHINGS
    from negativa.studio import load

    texts = understood(prompt, negative, literal)
    settings: dict[str, Any] = {"scale": scale, "steps": steps, "sampler": sampler, "rule": rule, "nothing": nothing}
    settings |= {"model": model, "syntax": syntax, "emphasis": emphasis, "no_image": no_image}
    settings |= {
        "negative": together(texts.negatives, negative_image, keep_image),
        "images": tuple(map(parse_image, image or ())),
    }
    settings |= {"distilled_scale": distilled_scale, "embeddings": embeddings}
    recipe = compare.recipe_of(texts.prompt or "", window, knob, wrap, lora, weaker, **settings)
    files: dict[str, Any] = {"adapters": parse_adapters(adapter), "image_encoder": image_encoder}
    studio = load(recipe.model or "terrarium", device=device, dtype=dtype, **files)
    recipe = studio.complete(recipe)
    print(f"prompt: {recipe.prompt!r}")
    for one in recipe.images:
        print(f"image: {one.name!r}, weight {one.weight:g}, from {one.start:g} to {one.stop:g} of the steps")
    for file, weight in recipe.loras:
        print(f"lora: {file!r}, weight {weight:g}")
    for one in recipe.negative:
        print(f"negative: {one.label}, weight {one.weight:g}, from {one.start:g} to {one.stop:g} of the steps")
    if not recipe.negative:
        print(f"negative: none; what guides away is {NOTHINGS[recipe.nothing or studio.denoiser.nothing]}")
    for notice in (said := (*texts.notices, *unread(recipe, adapter, image_encoder), *said_of(recipe, studio.denoiser))):
        print(f"notice: {notice}")
    if not said:
        print("nothing to object")
    if not measure:
        return
    without = {"all of them": ()} if len(recipe.negative) != 1 else {}
    without |= {one.label: tuple(other for other in recipe.negative if other != one) for one in recipe.negative}
    arms = [recipe, *(recipe.replace(negative=left) for left in without.values())]
    made = studio.stream([arm.replace(seed=seed) for arm in arms for seed in range(SEEDS)])
    images = [*_in_order(progress(made, total=len(arms) * SEEDS))]
    for i, name in enumerate(without, 1):
        moved = [_moved(images[seed], images[i * SEEDS + seed]) for seed in range(SEEDS)]
        print(f"without {name}: {sum(moved) / SEEDS:.1%} of the picture's brightness moves, seeds 0 to {SEEDS - 1}")


def _in_order(events: Any) -> list[Any]:
    """The pictures of a stream, in the order of their recipes."""
    from negativa.studio import Result

    return [one.image for one in sorted((e for e in events if isinstance(e, Result)), key=lambda one: one.index)]


def _moved(before: Any, after: Any) -> float:
    """The mean absolute difference of two pictures, as a share of the whole range."""
    import numpy as np

    return float(np.abs(np.asarray(before, float) - np.asarray(after, float)).mean() / 255)
