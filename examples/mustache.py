"""The README's first example: men without and with the negative prompt "mustache", side by side, and counted."""

from __future__ import annotations

import time
from pathlib import Path

import negativa
from negativa.experiments.sheet import sheet

SEEDS = (12, 13, 14, 15)
OUT = Path("out") / "mustache.png"

started = time.perf_counter()
studio = negativa.load()
arms = {"no negative": None, "negative: mustache": "mustache"}
recipes = [negativa.Recipe("portrait of a man", negative, seed=seed) for negative in arms.values() for seed in SEEDS]
found = {result.receipt.recipe: result.image for result in studio.generate_many(recipes)}
images = [found[studio.complete(recipe)] for recipe in recipes]
rows = [images[: len(SEEDS)], images[len(SEEDS) :]]

OUT.parent.mkdir(exist_ok=True)
sheet(rows, list(arms), [f"seed {seed}" for seed in SEEDS]).save(OUT)
print(f"the pictures: {OUT}")
for label, row in zip(arms, rows, strict=True):
    count = sum(reading["mustache"] > 0.5 for reading in negativa.terrarium.read_many(row))
    print(f"{label}: {count} of {len(row)} have a mustache")
print(f"took {time.perf_counter() - started:.1f} s")
