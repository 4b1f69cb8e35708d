"""What a study found: for every arm and measure an estimate, and beside it the paired difference from its baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import nan
from typing import TYPE_CHECKING

from negativa.experiments.statistics import (
    LEVEL,
    Difference,
    Estimate,
    Statistic,
    difference,
    holm,
    jackknife,
    jackknife_difference,
    mean,
)
from negativa.measures import build

if TYPE_CHECKING:
    from negativa.experiments.store import Store

Scores = Mapping[int | None, float | None]


@dataclass(frozen=True)
class Verdict:
    """One arm by one measure.

    `estimate` is None where nothing could be scored; `difference` (this arm less its `baseline`, paired by seed) where
    there is no baseline. `corrected` is its p after Holm (1979) over all comparisons by the same measure. `word` is
    better, worse, more, less or "not told apart". `rows` are the network rows asked per picture.
    """

    arm: str
    measure: str
    baseline: str | None
    estimate: Estimate | None
    difference: Difference | None
    rows: float
    corrected: float | None = None
    word: str = ""


def judge(store: Store) -> list[Verdict]:
    """The verdicts of a study's scores, measure after measure; losses are told like wins."""
    cost: dict[str, list[int]] = {}
    for one in store.all():
        cost.setdefault(one.arm, []).append(one.receipt["rows_asked"])
    rows = {label: sum(each) / len(each) for label, each in cost.items()}
    said: list[Verdict] = []
    for name in store.plan.measures:
        measure = build(name)
        arms = [arm for arm in store.plan.arms() if arm.baseline or measure.over != "pair"]
        found = [_verdict(store, name, measure.over, arm.label, arm.baseline, rows.get(arm.label, 0.0)) for arm in arms]
        compared = [i for i, verdict in enumerate(found) if verdict.difference is not None]
        ps = [change.p for verdict in found if (change := verdict.difference) is not None]
        for i, p in zip(compared, holm(ps), strict=True):
            found[i] = replace(found[i], corrected=p, word=_word(found[i].difference, p, measure.better))
        said += found
    return said


def _verdict(store: Store, name: str, over: str, arm: str, baseline: str | None, rows: float) -> Verdict:
    after, before = store.scores(name, arm), store.scores(name, baseline) if baseline else {}
    if over == "arm":
        return Verdict(arm, name, baseline, *_of_arms(before, after), rows)
    found = {seed: value for seed, value in after.items() if value is not None}
    pairs = [(start, value) for seed, value in found.items() if (start := before.get(seed)) is not None]
    estimate = mean([*found.values()]) if found else None
    return Verdict(arm, name, baseline, estimate, difference(*zip(*pairs, strict=True)) if pairs else None, rows)


def _of_arms(before: Scores, after: Scores) -> tuple[Estimate | None, Difference | None]:
    """The same for a measure over whole arms, whose scores hold what is left of the arm without each seed."""
    estimate, change = None, None
    if after.get(None) is not None:
        seeds = [seed for seed in after if seed is not None]
        estimate = jackknife(_without(after, seeds), len(seeds))
        if before.get(None) is not None:
            seeds = [seed for seed in seeds if seed in before]
            change = jackknife_difference(_without(before, seeds), _without(after, seeds), len(seeds))
    return estimate, change


def _without(scores: Scores, seeds: Sequence[int]) -> Statistic:
    """The score of all seeds, or of all but one, given the places of those that are in."""

    def statistic(kept: Sequence[int]) -> float:
        out = set(range(len(seeds))).difference(kept)
        value = scores[seeds[out.pop()] if out else None]
        return nan if value is None else value

    return statistic


def _word(change: Difference | None, p: float, better: str) -> str:
    if change is None or p >= LEVEL:
        return "not told apart"
    more = change.value > 0
    if better == "neither":
        return "more" if more else "less"
    return "better" if more == (better == "more") else "worse"
