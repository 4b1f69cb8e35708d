"""Speed beside what a user would pick instead: diffusers' own pipeline, same weights, same machine, in alternating pairs.

Prints, for each piece of work, the medians, their ratio, rows asked and run, and our share of time outside the networks.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import EulerAncestralDiscreteScheduler, StableDiffusionPipeline

import negativa
from negativa import Negative, Recipe
from negativa.denoisers.checkpoints import BUILT_IN
from negativa.plain.quiet import quiet

PROMPT, NEGATIVE, STEPS, SCALE = "portrait of a man", "mustache", 30, 7.5
BASE = Recipe(PROMPT, NEGATIVE, steps=STEPS, scale=SCALE)
COLUMNS = ("a house", "a house, lawn", "a house in the snow")
ROWS = (None, "tree, fence", "night")
WINDOWS = [(i / 8, 1.0) for i in range(8)]
TRIED = """
Tried on two cores of an AMD processor, and left out: `torch.compile` (a call of 32 rows took 0.91 of the time and one of 2
rows 0.75, after half a minute of compiling for each number of rows, with frozen weights, which a LoRA could not change), and
linear layers through oneDNN in the place of MKL, which uses half of such a processor (0.85 at 64 rows, no change at few).

On two cores without AVX-512, four times as slow, the five took 0.85, 0.91, 0.55, 0.28 and 0.34 (five pairs, three, three, three
and one). There, decoding small pictures four at a time takes 0.85 of the time of one at a time on two threads, and doing its
upsampling in one transposed convolution 0.9 of that with two operations.

Of 40 pictures the first is there after 0.2 to 0.26 of the time that all take (two runs there); when all of them took every step
together it was after 0.83, and all together took as long."""


@dataclass(frozen=True)
class Work:
    """A piece of work done both ways: `theirs` by pipeline calls, `ours` as recipes; `goal` is a ratio of time."""

    name: str
    goal: float
    pairs: int
    theirs: Callable[[StableDiffusionPipeline], object]
    ours: list[Recipe]


def call(pipeline: StableDiffusionPipeline, prompts: list[str], negatives: list[str] | None, seeds: list[int]) -> None:
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    pipeline(prompts, negative_prompt=negatives, num_inference_steps=STEPS, guidance_scale=SCALE, generator=generators)


def grid(pipeline: StableDiffusionPipeline) -> None:
    for row in ROWS:
        call(pipeline, list(COLUMNS), None if row is None else [row] * 3, [7, 7, 7])


def one_by_one(count: int) -> Callable[[StableDiffusionPipeline], None]:
    def run(pipeline: StableDiffusionPipeline) -> None:
        for seed in range(count):
            call(pipeline, [PROMPT], [NEGATIVE], [seed])

    return run


WORKS = (
    Work("one image", 0.90, 9, one_by_one(1), [BASE]),
    Work(
        "four images",
        0.95,
        5,
        lambda pipeline: call(pipeline, [PROMPT] * 4, [NEGATIVE] * 4, [0, 1, 2, 3]),
        [BASE.replace(seed=seed) for seed in range(4)],
    ),
    Work("3x3 grid", 0.60, 5, grid, [BASE.replace(prompt=c, negative=r, seed=7) for r in ROWS for c in COLUMNS]),
    Work(
        "eight negative windows",
        0.25,
        3,
        one_by_one(8),
        [BASE.replace(negative=Negative(NEGATIVE, start=start, stop=stop)) for start, stop in WINDOWS],
    ),
    Work("study of 64 images", 0.28, 1, one_by_one(64), [BASE.replace(seed=seed) for seed in range(64)]),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help="a piece of work by the start of its name")
    parser.add_argument("--pairs", type=int, help="pairs of each, instead of the usual number")
    parser.add_argument("--write", type=Path, help="write the table there as well")
    chosen = parser.parse_args()
    with quiet():
        pipeline = StableDiffusionPipeline.from_pretrained(BUILT_IN["terrarium"], torch_dtype=torch.float32)
    pipeline.scheduler = EulerAncestralDiscreteScheduler.from_config(pipeline.scheduler.config)
    pipeline.set_progress_bar_config(disable=True)
    studio = negativa.load(device="cpu")
    one_by_one(1)(pipeline)
    list(studio.generate_many([BASE.replace(seed=seed) for seed in range(16)]))  # both warm, row budget measured
    lines = [
        "# Speed, beside diffusers' own pipeline",
        "",
        "Written by `make bench`: the same weights on the same machine, in pairs that take turns at going first. Times are",
        "medians, ratios medians of the pairs' ratios; of one run on one machine. diffusers does one image, the sweep and the",
        "study one call after another, four images in one call, the grid in three calls of three (the sweep's calls have no",
        "window, which costs the same).",
        "",
        f"On {torch.get_num_threads()} threads of {platform.machine()}, torch {torch.__version__}, {STEPS} steps of Euler a.",
        "",
        "| work | diffusers, s | negativa, s | ratio | goal | rows asked | rows run | outside the networks |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for work in WORKS:
        if chosen.only is None or work.name.startswith(chosen.only):
            lines.append(measure(work, pipeline, studio, chosen.pairs or work.pairs))
            print(lines[-1], flush=True)
    if chosen.write:
        chosen.write.write_text("\n".join([*lines, TRIED]) + "\n")


def measure(work: Work, pipeline: StableDiffusionPipeline, studio: negativa.Studio, pairs: int) -> str:
    theirs, ours, outside, asked, run = [], [], [], 0, 0
    for pair in range(2 * pairs):
        ours_now = pair % 4 in (1, 2)  # theirs, ours, ours, theirs, ...
        before, started = studio.network_seconds, time.perf_counter()
        if not ours_now:
            work.theirs(pipeline)
            theirs.append(time.perf_counter() - started)
            continue
        receipts = [result.receipt for result in studio.generate_many(work.ours)]
        ours.append(time.perf_counter() - started)
        outside.append(1 - (studio.network_seconds - before) / ours[-1])
        asked, run = sum(r.rows_asked for r in receipts), sum(r.rows_run for r in receipts)
    ratio = statistics.median(o / t for o, t in zip(ours, theirs, strict=True))
    a, b = statistics.median(theirs), statistics.median(ours)
    share = statistics.median(outside)
    return f"| {work.name} | {a:.2f} | {b:.2f} | {ratio:.2f} | {work.goal:.2f} | {asked} | {run} | {share:.1%} |"


if __name__ == "__main__":
    main()
