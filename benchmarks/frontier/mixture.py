"""Every way on an exact mixture, where the truth is a formula."""

from __future__ import annotations

from collections.abc import Iterator

from ways import WEIGHTS, ways

import negativa
from negativa import InputError, Negative, Recipe
from negativa.exact import COMPASS, judge

POINTS, STEPS, SCALE, AWAY = 300, 50, 2.0, "north"


def lines() -> Iterator[str]:
    """Lines of the page: end points of `COMPASS` without a prompt, away from one label."""
    yield from [
        "## On an exact mixture",
        "",
        f"`--model exact`: four modes, no prompt, the negative “{AWAY}”, scale {SCALE:g}, {STEPS} steps, {POINTS} seeds.",
        "*left* is the share of end points on the removed mode (the truth is 0), *variation* the total variation from the true",
        "distribution over labels, *off* the share that lies where the mixture has almost nothing. Weights are the negative's.",
        "Rules that act inside a network are not here: a formula has no inside.",
        "",
        "| rule | " + " | ".join(f"weight {weight:g}: left, variation, off" for weight in WEIGHTS) + " |",
        "|---|" + "---|" * len(WEIGHTS),
    ]
    studio = negativa.load(COMPASS)
    for way in ways():
        cells = []
        for weight in WEIGHTS:
            fields = {"scale": SCALE, "steps": STEPS} | way.fields
            recipes = [Recipe("", Negative(AWAY, weight), seed, **fields) for seed in range(POINTS)]
            try:
                found = judge([result.latents for result in studio.generate_many(recipes)], COMPASS, AWAY)
            except InputError:  # a rule that acts inside a network
                break
            cells.append(f"{found.left:.3f}, {found.variation:.3f}, {found.off:.3f}")
        else:
            yield f"| {way.name} | {' | '.join(cells)} |"
    yield ""
