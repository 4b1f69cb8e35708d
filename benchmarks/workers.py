"""Two processes beside one, on the same study of terrarium, in pairs that take turns at going first.

Both are warm: the models are loaded and the engines know their batch sizes. Prints every pair and the median ratio of times.
"""

from __future__ import annotations

import argparse
import statistics
import time

from negativa import Recipe
from negativa.experiments.making import Here, Maker
from negativa.experiments.workers import Processes

ARMS = (
    Recipe("portrait of a man"),
    Recipe("portrait of a man", "mustache"),
    Recipe("portrait of a man without a mustache"),
)


def seconds(maker: Maker, recipes: list[Recipe]) -> float:
    started = time.perf_counter()
    failures = [made.failure for made in maker(recipes) if made.failure]
    assert not failures, failures[0]
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=16)
    parser.add_argument("--steps", type=int, default=20)
    chosen = parser.parse_args()
    recipes = [arm.replace(seed=seed, steps=chosen.steps) for seed in range(chosen.seeds) for arm in ARMS]
    one, ratios = Here(device="cpu"), []
    with Processes(chosen.workers, device="cpu") as many:
        for maker in (one, many):
            seconds(maker, recipes)
        for pair in range(chosen.pairs):
            order = (one, many) if pair % 2 else (many, one)
            took = {maker: seconds(maker, recipes) for maker in order}
            ratios.append(took[many] / took[one])
            print(f"one process {took[one]:.2f} s, {chosen.workers} workers {took[many]:.2f} s: {ratios[-1]:.2f}", flush=True)
    print(f"{len(recipes)} pictures of {chosen.steps} steps: {statistics.median(ratios):.2f} (median of {chosen.pairs} pairs)")


if __name__ == "__main__":
    main()
