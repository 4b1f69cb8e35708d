"""Can a model have its negative prompt built in? Bakes two on terrarium and measures: writes docs/intrinsic-negative.md.

Ends with status 1 if a bar is missed.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from common import DOCS, FIRST_SEED, STEPS, Bar, draw, kept, read, studio, write_sheet
from PIL import Image
from rich.progress import track

from negativa import Recipe
from negativa.measures import Shot, build
from negativa.terrarium import paint
from negativa.terrarium.captions import caption
from negativa.terrarium.flaws import FLAWS
from negativa.terrarium.painter import CLEAN, FLAWED
from negativa.terrarium.reader import named
from negativa.training import bake

SEEDS = 200
TIMED = 384  # pictures an arm, in turns
WITHIN = 5  # points, or per cent of variety, of guidance in two passes
ARMS = ("no negative", "two passes", "baked, one pass", "placebo: the LoRA at 0, one pass")
INTRODUCTION = f"""\
# A negative that is built in

Max Woolf's first article on negative prompts ends by wondering whether a model could have an intrinsic one. `negativa bake`
learns guidance with a negative, n + s (c - n), into a LoRA, so that the model's one prediction under the prompt is what took
two. Written by `make intrinsic-negative`: terrarium, the command's own settings, {SEEDS} captions with a seed each (from
{FIRST_SEED}), {STEPS} steps.
"""
LEGEND = """\
*Named*: pictures in which the reader finds what the negative names. *Unwanted*: the same, and for the list of flaws any other
flaw too. *Obedience*: the attributes that the prompt names and the reader finds. *Variety*: the effective number of different
pictures (Vendi score). *Time* is that of many pictures side by side, in turns that alternate: the median of the turns'
ratios."""
BROUGHT = f"""\
Two passes have more unwanted pictures than none, and that is what the baking is taught; of {SEEDS} pictures, how many have
what: {{}}."""
ALONE = """\
One picture at a time, on a processor, one pass takes {:.0f} % of the time of two: a call of two rows costs little more than
one of one.
Machines differ, and earlier versions ran two passes in smaller calls: one pass took 54.5 % (mustache) and 55.2 % (quality) of
two on two cores with AVX-512, and 55.0 and 56.7 % on two without it."""


@dataclass(frozen=True)
class Case:
    """A negative, what shall not be there (more than it names), and what the paintings have whose captions are the prompts."""

    name: str
    negative: str
    unwanted: tuple[str, ...]
    painted: dict[str, bool]

    @cached_property
    def prompts(self) -> list[str]:
        """Captions that name something, and nothing that is unwanted."""
        found, rng = list[str](), np.random.default_rng(FIRST_SEED)
        while len(found) < SEEDS:
            text = caption(paint(rng, **CLEAN, **self.painted)[1], rng)
            if (names := named([text])) and not names & {*self.unwanted, *FLAWS}:
                found.append(text)
        return found

    def bake(self) -> tuple[Path, dict[str, bake.Figure]]:
        """The LoRA, and how long a picture takes in each arm."""
        out = kept() / f"{self.name}.safetensors"
        settings = bake.Settings(bake.Goal("negative", self.negative), out, device="cpu", pictures=TIMED, overwrite=True)
        *_, end = track(bake.run(settings), f"baking {self.name}")
        assert isinstance(end, bake.Baked)
        return out, {one.arm: one for one in end.figures}

    def recipes(self, lora: Path) -> dict[str, list[Recipe]]:
        bases = [Recipe(text, seed=FIRST_SEED + i, steps=STEPS) for i, text in enumerate(self.prompts)]
        changes = (
            {},
            {"negative": self.negative},
            {"rule": "none", "loras": ((str(lora), 1.0),)},
            {"rule": "none", "loras": ((str(lora), 0.0),)},
        )
        return {arm: [one.replace(**change) for one in bases] for arm, change in zip(ARMS, changes, strict=True)}


CASES = (
    Case("mustache", "mustache", ("mustache",), {"man": True, "photo": True}),
    Case("quality", "blurry, pixelated, jpeg artifacts, watermark, deformed", FLAWED, {}),
)


def main() -> int:
    lines, bars = [INTRODUCTION], list[Bar]()
    for case in CASES:
        lora, timed = case.bake()
        recipes = case.recipes(lora)
        drawn = {arm: draw(some, f"{case.name}: {arm}") for arm, some in recipes.items()}
        found = {arm: figures(case, recipes[arm], images) for arm, images in drawn.items()}
        ratio = timed["baked"].share_of_time(timed["two passes"])
        bars += judged(case, found, ratio)
        heads = ("arm", "named", "unwanted", "obedience", "variety", "rows a step")
        lines += [f"## {case.negative}", "", f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
        for arm, one in found.items():
            rows = 1 if "one pass" in arm else 2
            shares = " | ".join(f"{share:.1f} %" for share in (one.named, one.unwanted, one.obedience))
            lines.append(f"| {arm} | {shares} | {one.variety:.1f} | {rows} |")
        if found["two passes"].unwanted > found["no negative"].unwanted:
            lines += ["", BROUGHT.format(counted(case, drawn["two passes"]))]
        name = write_sheet(f"intrinsic-{case.name}", {arm: images[:8] for arm, images in drawn.items()})
        lines += ["", f"![{case.negative}]({name})", ""]
    lines += ["## What was wanted", "", "| | measured | wanted |", "|---|---|---|", *map(str, bars), ""]
    lines += [LEGEND, ALONE.format(100 * alone(recipes))]
    text = "\n".join([*lines, ""])
    (DOCS / "intrinsic-negative.md").write_text(text)
    print(text)
    return 0 if all(bar.met for bar in bars) else 1


def alone(recipes: dict[str, list[Recipe]]) -> float:
    """The time of one pass as a share of that of two, a picture at a time: the median of several, in turns."""
    seconds: dict[str, list[float]] = {"baked, one pass": [], "two passes": []}
    for i in range(10):
        for arm, taken in seconds.items():
            started = time.perf_counter()
            studio().generate(recipes[arm][i])
            taken.append(time.perf_counter() - started)
    baked, both = (statistics.median(taken) for taken in seconds.values())
    return baked / both


class Figures(NamedTuple):
    """Percentages of pictures with what the negative names and with anything unwanted, and of what was asked for; variety."""

    named: float
    unwanted: float
    obedience: float
    variety: float


def figures(case: Case, recipes: list[Recipe], images: list[Image.Image]) -> Figures:
    """What is in the pictures of an arm."""
    readings = read(images)

    def having(names: Iterable[str]) -> float:
        return 100 * float(np.mean([any(reading[name] > 0.5 for name in names) for reading in readings]))

    shots = [Shot(image, recipe) for image, recipe in zip(images, recipes, strict=True)]
    obeyed, (variety,) = build("obedience").score(shots), build("variety").score(shots)
    shares = having(named([case.negative]) & {*case.unwanted}), having(case.unwanted)
    return Figures(*shares, 100 * float(np.mean(obeyed)), variety)


def counted(case: Case, images: list[Image.Image]) -> str:
    """How many pictures have each unwanted attribute, most first."""
    counts = Counter(name for reading in read(images) for name in case.unwanted if reading[name] > 0.5)
    return ", ".join(f"{name} {count}" for name, count in counts.most_common())


def judged(case: Case, found: dict[str, Figures], ratio: float) -> list[Bar]:
    both, baked = found["two passes"], found["baked, one pass"]
    return [
        Bar(f"{case.name}: unwanted, points over two passes", baked.unwanted - both.unwanted, WITHIN, "", most=True),
        Bar(f"{case.name}: obedience, points under two passes", both.obedience - baked.obedience, WITHIN, "", most=True),
        Bar(f"{case.name}: variety, under two passes", 100 * (1 - baked.variety / both.variety), WITHIN, most=True),
        Bar(f"{case.name}: time of two passes", 100 * ratio, 55, most=True),
    ]


if __name__ == "__main__":
    sys.exit(main())
