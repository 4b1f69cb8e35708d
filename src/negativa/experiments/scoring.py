"""What an arm scores by a measure, what it is worth, and how it differs from another arm, paired by seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isfinite, nan
from typing import TYPE_CHECKING, Final

from negativa.experiments.statistics import (
    Difference,
    Estimate,
    Statistic,
    difference,
    jackknife,
    jackknife_difference,
    mean,
)

if TYPE_CHECKING:
    from negativa.measures.measure import Measure, Shot

REVISION: Final = 2  # of what scores mean: raised when a measure's numbers change their meaning
Scores = Mapping[int | None, float | None]  # seed -> score, None where it is no number; of whole arms see `score`


def score(measure: Measure, shots: Mapping[int, Shot]) -> dict[int | None, float | None]:
    """The scores of an arm's pictures, by seed; one that is not finite is None, and pictures without a pair have none.

    Of a measure over whole arms: the score of all (under None), and under each seed that of all others, None for a single
    one. Raises `InputError` as the measure does.
    """
    if measure.over == "pair":
        shots = {seed: shot for seed, shot in shots.items() if shot.before is not None}
    if not shots:
        return {}
    if measure.over != "arm":
        return dict(zip(shots, map(_finite, measure.score([*shots.values()])), strict=True))
    every = [*shots.values()]
    others = map(_finite, measure.leaving_out(every)) if len(every) > 2 else [None] * len(every)
    return {None: _finite(*measure.score(every)), **dict(zip(shots, others, strict=True))}


def score_alike(measure: Measure, shots: Mapping[int, Shot]) -> tuple[Scores, Scores]:
    """What a measure over whole arms says of the pictures before, and of those of the arm: see `compare`.

    Both are of the seeds that have both, and held to what the arm's recipes ask for. Raises `InputError` as the measure does.
    """
    both = {seed: shot for seed, shot in shots.items() if shot.before is not None}
    before = {seed: replace(shot, image=shot.before) for seed, shot in both.items() if shot.before is not None}
    return score(measure, before), score(measure, both)


def estimate(scores: Scores) -> Estimate | None:
    """What an arm is worth; None if nothing of it could be scored."""
    if None in scores:
        seeds = [seed for seed in scores if seed is not None]
        return None if scores[None] is None else jackknife(_without(scores, seeds), len(seeds))
    known = [value for value in scores.values() if value is not None]
    return mean(known) if known else None


def compare(before: Scores, after: Scores) -> Difference | None:
    """`after` less `before`, over the seeds that both have; None if there are none.

    Scores of whole arms are those of `score_alike`.
    """
    seeds = [seed for seed in after if seed is not None and seed in before]
    if None in after:
        if after[None] is None or before.get(None) is None:
            return None
        return jackknife_difference(_without(before, seeds), _without(after, seeds), len(seeds))
    pairs = [(old, new) for seed in seeds if (old := before[seed]) is not None and (new := after[seed]) is not None]
    return difference(*zip(*pairs, strict=True)) if pairs else None


def _finite(value: float) -> float | None:
    return float(value) if isfinite(value) else None


def _without(scores: Scores, seeds: Sequence[int]) -> Statistic:
    """The score of all seeds, or of all but one, given the places of those that are in."""

    def statistic(kept: Sequence[int]) -> float:
        out = set(range(len(seeds))).difference(kept)
        value = scores[seeds[out.pop()] if out else None]
        return nan if value is None else value

    return statistic
