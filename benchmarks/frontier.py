"""Every rule beside the others: what a negative removes, what it leaves as it was, and what that costs.

On the exact mixture the truth is a formula; on terrarium the reader knows. Writes docs/frontier.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import negativa
from negativa import Negative, Recipe
from negativa.exact import COMPASS, judge
from negativa.experiments.making import Here
from negativa.experiments.statistics import mean
from negativa.measures import Shot, build
from negativa.rules import RULES, WRAPPERS

DOCS = Path(__file__).parent.parent / "docs"
WEIGHTS = (0.5, 1.0, 2.0)  # of the negative: a strength that every rule knows
POINTS, POINT_STEPS = 300, 50  # end points on the mixture, and their steps
CASES = (("portrait of a man", "mustache"), ("portrait of a woman", "hat"), ("a house", "lawn"))
STEPS = 20  # of terrarium's pictures


@dataclass(frozen=True)
class Figure:
    """A way on terrarium: the share of pictures that lost what the negative names, the rest kept, rows asked a step."""

    name: str
    removed: float
    removed_between: tuple[float, float]
    kept: float
    kept_between: tuple[float, float]
    rows: float

    def beats(self, other: Figure) -> bool:
        mine, theirs = (self.removed, self.kept, -self.rows), (other.removed, other.kept, -other.rows)
        return mine != theirs and all(a >= b for a, b in zip(mine, theirs, strict=True))


def ways() -> dict[str, dict[str, object]]:
    """Every rule and preset as it is, and cfg in every wrapper: fields of a recipe by name."""
    found: dict[str, dict[str, object]] = {}
    for name, kind in RULES.items():
        if name != "none":
            for preset in ("", *getattr(kind, "PRESETS", ())):
                rule = f"{name}:{preset}".rstrip(":")
                found[rule] = {"rule": rule}
    return found | {f"cfg, {name}": {"rule": "cfg", "wrappers": (name,)} for name in WRAPPERS}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=40, help="of terrarium, for each of the cases")
    seeds = range(2000, 2000 + parser.parse_args().seeds)
    lines = [
        "# The frontier",
        "",
        "Written by `make frontier`. Every rule is at its defaults.",
        "",
        *on_the_mixture(),
        *on_terrarium(seeds),
    ]
    (DOCS / "frontier.md").write_text("\n".join(lines) + "\n")


def on_the_mixture() -> list[str]:
    """Lines of the page: end points of `COMPASS` without a prompt, away from "north"."""
    lines = [
        "## On an exact mixture",
        "",
        f"`--model exact`: four modes, no prompt, the negative “north”, scale 2, Euler a, {POINT_STEPS} steps, {POINTS} seeds.",
        "*left* is the share of end points on the removed mode (the truth is 0), *variation* the total variation from the true",
        "distribution over labels, *off* the share that lies where the mixture has almost nothing. Weights are the negative's.",
        "",
        "| rule | " + " | ".join(f"weight {weight:g}: left, variation, off" for weight in WEIGHTS) + " |",
        "|---|" + "---|" * len(WEIGHTS),
    ]
    studio = negativa.load(COMPASS)
    for name, way in ways().items():
        cells = []
        for weight in WEIGHTS:
            recipes = [Recipe("", Negative("north", weight), seed, POINT_STEPS, 2.0, **way) for seed in range(POINTS)]  # type: ignore[arg-type]
            points = [result.latents for result in studio.generate_many(recipes)]
            found = judge(points, COMPASS, "north")
            cells.append(f"{found.left:.3f}, {found.variation:.3f}, {found.off:.3f}")
        lines.append(f"| {name} | {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    return [*lines, ""]


def on_terrarium(seeds: Sequence[int]) -> list[str]:
    """Lines of the page: what each rule removes and keeps of terrarium's pictures."""
    make = Here()
    plain = {case: drawn(make, [Recipe(case[0], seed=seed, steps=STEPS) for seed in seeds]) for case in CASES}
    figures: list[Figure] = []
    for name, way in ways().items():
        removed, kept, rows = list[float](), list[float](), list[int]()
        for prompt, negative in CASES:
            recipes = [Recipe(prompt, negative, seed, STEPS, **way) for seed in seeds]  # type: ignore[arg-type]
            before, after = plain[prompt, negative], drawn(make, recipes)
            presence = build(f"presence:{negative}")
            there = presence.score([Shot(image, recipes[0]) for image, _ in before])
            still = presence.score([Shot(image, recipes[0]) for image, _ in after])
            removed += [1 - b for a, b in zip(there, still, strict=True) if a]
            pairs = zip(recipes, before, after, strict=True)
            kept += build("kept").score([Shot(image, recipe, first) for recipe, (first, _), (image, _) in pairs])
            rows += [asked for _, asked in after]
        gone, same = mean(removed), mean(kept)
        each = sum(rows) / len(rows) / STEPS
        figures.append(Figure(name, gone.value, (gone.low, gone.high), same.value, (same.low, same.high), each))
        print(figures[-1], flush=True)
    cases = "; ".join(f"{prompt}, not {negative}" for prompt, negative in CASES)
    lines = [
        "## On terrarium",
        "",
        f"{cases}; {len(seeds)} seeds each, {STEPS} steps, terrarium's own scale. *removed* counts the pictures that had it,",
        "*kept* the reader's other answers about the same seed. 95 % intervals. A star: nothing here is better in all three.",
        "",
        "| rule | removed | kept | rows a step | |",
        "|---|---|---|---|---|",
    ]
    for one in sorted(figures, key=lambda one: -one.removed):
        star = "" if any(other.beats(one) for other in figures) else "*"
        gone, same = (
            f"{v:.1%} ({a:.1%} to {b:.1%})" for v, (a, b) in ((one.removed, one.removed_between), (one.kept, one.kept_between))
        )
        lines.append(f"| {one.name} | {gone} | {same} | {one.rows:.2f} | {star} |")
    return lines


def drawn(make: Here, recipes: list[Recipe]) -> list[tuple]:
    """Pictures and the rows they asked for, in the order of the recipes."""
    made = sorted(make(recipes), key=lambda one: one.index)
    failures = [one.failure for one in made if one.failure]
    assert not failures, failures[0]
    return [(one.image, one.receipt.rows_asked) for one in made if one.receipt]


if __name__ == "__main__":
    main()
