"""Ten sentences with "without": understood, taken literally, and never said. Writes docs/without.md."""

from __future__ import annotations

import argparse
from functools import cache
from pathlib import Path

from negativa import Recipe
from negativa.experiments.making import Here
from negativa.experiments.statistics import Estimate, mean
from negativa.language import negation
from negativa.measures import Shot, build

PAGE = Path(__file__).parents[1] / "docs" / "without.md"
FIRST = 3000  # seeds from here on were not looked at before
STEPS = 20
#: Each with what it leaves out, as the reader calls it, with commas, and the same without a word of it.
SENTENCES = (
    ("portrait of a man without a mustache", "mustache", "portrait of a man"),
    ("portrait of a man with no mustache", "mustache", "portrait of a man"),
    ("a man, no mustache", "mustache", "a man"),
    ("portrait of a man who doesn't have a mustache", "mustache", "portrait of a man"),
    ("portrait of a man, not wearing a hat", "hat", "portrait of a man"),
    ("portrait of a woman without a hat", "hat", "portrait of a woman"),
    ("a house without a lawn", "lawn", "a house"),
    ("a house with no lawn", "lawn", "a house"),
    ("a house with neither a lawn nor a fence", "lawn, fence", "a house"),
    ("a house, minus the fence", "fence", "a house"),
)


MAKE = Here()


@cache
def drawn(recipe: Recipe, seeds: range) -> list[Shot]:
    """The pictures of a recipe; several sentences come to the same one."""
    recipes = [recipe.replace(seed=seed, steps=STEPS) for seed in seeds]
    found = list[Shot]()
    for made in MAKE(recipes):
        if made.image is None:
            raise RuntimeError(made.failure)
        found.append(Shot(made.image, recipes[made.index]))
    return found


def rate(recipe: Recipe, unwanted: str, seeds: range) -> Estimate:
    """The share of pictures that show anything that is unwanted."""
    scores = [build(f"presence:{name}").score(drawn(recipe, seeds)) for name in unwanted.split(", ")]
    return mean([max(each) for each in zip(*scores, strict=True)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=100)
    seeds = range(FIRST, FIRST + parser.parse_args().seeds)
    lines = [
        "# “Without”, understood and taken literally",
        "",
        f"Written by `make without`: terrarium, {len(seeds)} seeds from {FIRST}, {STEPS} steps; how many pictures show what",
        "the sentence leaves out. *Never said*: the sentence without its last part. *Literal*: as written (`--literal`).",
        "95 % intervals.",
        "",
        "| sentence | never said | literal | understood |",
        "|---|---|---|---|",
    ]
    for sentence, unwanted, plain in SENTENCES:
        split = negation.split(sentence)
        recipes = Recipe(plain), Recipe(sentence), Recipe(split.prompt, split.negatives)
        found = [rate(recipe, unwanted, seeds) for recipe in recipes]
        cells = " | ".join(f"{one.value:.0%} ({one.low:.0%} to {one.high:.0%})" for one in found)
        lines.append(f"| {sentence} | {cells} |")
        print(lines[-1], flush=True)
    PAGE.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
