"""Every way on an exact mixture, where the truth is a formula: without a prompt, and with one."""

from __future__ import annotations

from collections.abc import Iterator

from rich.progress import track
from ways import WEIGHTS, Way, ways

import negativa
from negativa import InputError, Negative, Recipe
from negativa.exact import COMPASS, judge

POINTS, STEPS, SCALE, AWAY = 300, 50, 2.0, "north"
PROMPTS = ("", "north, east")


def lines() -> Iterator[str]:
    """Lines of the page: end points of `COMPASS` away from one label, a table for each prompt."""
    yield from [
        "## On an exact mixture",
        "",
        f"`--model exact`: four modes, the negative “{AWAY}”, scale {SCALE:g}, {STEPS} steps, {POINTS} seeds.",
        "*left* is the share of end points on the removed mode (the truth is 0), *variation* the total variation from the true",
        "distribution over labels, *off* the share that lies where the prompt's modes have almost nothing. Weights are the",
        "negative's. Rules that act inside a network are not here: a formula has no inside. `ccfg` lets go of the negative at",
        "once: its knob is for the size of Stable Diffusion's latents.",
        "",
    ]
    for prompt in PROMPTS:
        yield from [
            f"With the prompt “{prompt}”:" if prompt else "Without a prompt:",
            "",
            "| rule | " + " | ".join(f"weight {weight:g}: left, variation, off" for weight in WEIGHTS) + " |",
            "|---|" + "---|" * len(WEIGHTS),
        ]
        for way in track(ways(), f"mixture: {prompt or 'no prompt'}"):
            try:
                yield f"| {way.name} | {' | '.join(figures(prompt, way, weight) for weight in WEIGHTS)} |"
            except InputError:  # a rule that acts inside a network
                continue
        yield ""


def figures(prompt: str, way: Way, weight: float) -> str:
    """The figures of a way at a strength. Raises `InputError` for a rule that the mixture cannot follow."""
    fields = {"scale": SCALE, "steps": STEPS} | way.fields
    recipes = [Recipe(prompt, Negative(AWAY, weight), seed, **fields) for seed in range(POINTS)]
    studio = negativa.load(COMPASS)
    found = judge([result.latents for result in studio.generate_many(recipes)], COMPASS.only(prompt), AWAY)
    return f"{found.left:.3f}, {found.variation:.3f}, {found.off:.3f}"
