"""What a study found: for every arm and measure an estimate, and beside it the paired difference from its baseline."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from negativa.experiments.scoring import compare, estimate
from negativa.experiments.statistics import LEVEL, Difference, Estimate, holm
from negativa.measures import build

if TYPE_CHECKING:
    from negativa.experiments.store import Store


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
        found: list[Verdict] = []
        for arm in arms:
            scores, asked = store.scores(name, arm.label), rows.get(arm.label, 0.0)
            if measure.over == "arm":
                before, after = store.alike(name, arm.label)
            else:
                before, after = store.scores(name, arm.baseline) if arm.baseline else {}, scores
            found.append(Verdict(arm.label, name, arm.baseline, estimate(scores), compare(before, after), asked))
        compared = [i for i, verdict in enumerate(found) if verdict.difference is not None]
        ps = [change.p for verdict in found if (change := verdict.difference) is not None]
        for i, p in zip(compared, holm(ps), strict=True):
            found[i] = replace(found[i], corrected=p, word=_word(found[i].difference, p, measure.better))
        said += found
    return said


def _word(change: Difference | None, p: float, better: str) -> str:
    if change is None or p >= LEVEL:
        return "not told apart"
    more = change.value > 0
    if better == "neither":
        return "more" if more else "less"
    return "better" if more == (better == "more") else "worse"
