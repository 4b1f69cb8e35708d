"""Ablations: which terms of a negative do the work. Each is left out, each stands alone, beside the whole and none.

k terms make 2k + 2 arms, a picture for each and every seed (fewer terms than three: fewer arms, since some coincide).
`minimise` then looks for a shortest negative that cannot be told from the whole, by a search whose cost is known beforehand:

    1. rank the terms by what each does alone, and among equals by what is lost without it;
    2. halve: among the strongest 1, 2, ... k together, find a number that cannot be told from the whole while one fewer can;
    3. prune: leave those out again one by one, the weakest first, for as long as the rest cannot be told from the whole.

That is at most log2 k + k arms more, and few of them where few terms matter. Trying every subset would take 2^k; dropping
one term a round about k^2 / 2. Two arms are told apart when their paired difference over the seeds has p below 5 %,
uncorrected: that errs towards longer negatives. No picture is made twice. The shortest is found on the same seeds that it
is judged by, and with few seeds small effects are not seen: how small, the report says.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Literal

from negativa.errors import InputError
from negativa.experiments.making import Here, Maker
from negativa.experiments.shelf import Drawn, Shelf
from negativa.experiments.statistics import LEVEL, Difference, Estimate, holm, power_note
from negativa.experiments.tables import check_each_once
from negativa.experiments.terms import Ablation, Terms, lay_ablation
from negativa.plain.conditions import Negative
from negativa.plain.recipe import Recipe

if TYPE_CHECKING:
    from negativa.measures import Measure

Kind = Literal["none", "whole", "alone", "without", "shortest"]
Against = Literal["", "none", "whole"]


@dataclass(frozen=True)
class Begun:
    """What will be done: so many `pictures`, and at most so many `more` if a search was asked for; what was merged."""

    pictures: int
    more: int
    notices: tuple[str, ...]


@dataclass(frozen=True)
class Finding:
    """An arm by one measure: its `estimate`, and its paired `difference` from the arm that it is set `against`.

    A term `alone` and the `whole` are set against none, but by a measure over pairs, which is measured from none as it is; a
    term left out (`without`) and the `shortest` against the whole.
    `corrected` is the difference's p after Holm (1979) over the findings of a measure, the shortest apart; it was chosen.
    `rows` are the network rows asked per picture.
    """

    kind: Kind
    term: str
    negative: str
    measure: str
    estimate: Estimate
    difference: Difference | None
    against: Against
    corrected: float | None
    rows: float


@dataclass(frozen=True)
class Report:
    """What was found over `seeds`, the ones that every arm has a picture of.

    `shortest` is a shortest negative, None if it was not looked for. `power` says what so many seeds cannot tell.
    `rows_asked` counts the network rows the pictures needed, `rows_run` those that were run, `seconds` is the whole time.
    """

    findings: tuple[Finding, ...]
    shortest: str | None
    seeds: tuple[int, ...]
    pictures: int
    rows_asked: int
    rows_run: int
    seconds: float
    notices: tuple[str, ...]
    failures: tuple[str, ...]
    power: str


Event = Begun | Drawn | Report


def ablate(
    prompt: str | Recipe,
    negative: str | Negative,
    measures: Sequence[str | Measure],
    seeds: Sequence[int] = tuple(range(32)),
    minimise: bool = False,
    make: Maker | None = None,
    pictures: Path | None = None,
) -> Iterator[Event]:
    """Take a negative apart: each picture as it is finished, a report at the end; see the module.

    `negative` is split at its commas outside brackets; the weight and window of a `Negative` are those of every arm.
    `measures` are texts as `negativa.measures.build` reads them; the first one guides the search. `pictures` is a folder to
    keep them in, each under its recipe's hash. Ctrl-C ends with a report of the seeds that are complete, if there are two.
    Raises `InputError` or `ModelError`, before any work, for what cannot be done, and early if no measure can score the
    pictures; one that cannot is among the failures.
    """
    from negativa.measures import build

    plan, notices = lay_ablation(prompt, negative, seeds)
    known = [build(one) if isinstance(one, str) else one for one in measures]
    check_each_once("measure", [one.label for one in known])
    if minimise and known[0].over == "arm":
        raise InputError(f"minimise: {known[0].label} has one number for all seeds; allowed: first a measure over pictures")
    for measure in known:
        measure.check()
    make = Here() if make is None else make
    if isinstance(make, Here):
        for arm in plan.arms:
            make.studio(plan.recipe.model).complete(plan.at(arm, plan.seeds[0]))
    return _ablated(plan, notices, known, minimise, make, pictures)


def _ablated(
    plan: Ablation, notices: tuple[str, ...], measures: list[Measure], minimise: bool, make: Maker, folder: Path | None
) -> Iterator[Event]:
    started, shortest, stopped = time.perf_counter(), None, False
    with TemporaryDirectory() as spare:
        shelf = Shelf(plan, make, folder or Path(spare))
        yield Begun(plan.pictures, plan.pictures_to_minimise if minimise else 0, notices)
        try:
            untried = True
            for drawn in shelf.draw(plan.arms):
                yield drawn
                if untried and len(shelf.seeds([(), plan.terms])) > 1:
                    untried = False
                    _try(measures, shelf)
            shelf.settle()
            if minimise and len(shelf.plan.seeds) > 1:
                try:
                    shortest = yield from _search(shelf, measures[0])
                except InputError as error:  # which leaves what the others measure
                    shelf.failures[f"{measures[0].label}: {error}"] = None
        except KeyboardInterrupt:
            stopped = True
            shelf.settle()
        if len(shelf.plan.seeds) > 1:
            yield _report(shelf, measures, shortest, notices, round(time.perf_counter() - started, 3))
    if stopped:
        raise KeyboardInterrupt
    if (count := len(shelf.plan.seeds)) < 2:
        raise InputError(f"seeds: {count} have a picture of every arm, 2 are needed; {'; '.join(shelf.failures)}")


def _try(measures: list[Measure], shelf: Shelf) -> None:
    """Score the first pictures: if no measure can, better now than at the end. Raises the `InputError` of the first."""
    shots, refused = [*shelf.shots(shelf.plan.terms).values()], list[InputError]()
    for measure in measures:
        try:
            measure.score(shots)
        except InputError as error:
            refused.append(error)
    if len(refused) == len(measures):
        raise refused[0]


def _search(shelf: Shelf, measure: Measure) -> Generator[Drawn, None, Terms]:
    """A shortest negative that cannot be told from the whole; see the module."""
    plan = shelf.plan
    up = 1 if shelf.compare(measure, (), plan.terms).value >= 0 else -1

    def differs(terms: Terms) -> Generator[Drawn, None, bool]:
        yield from shelf.draw([terms])
        if shelf.seeds([terms]) != plan.seeds:  # a picture failed: no ground to call them alike
            return True
        return shelf.compare(measure, plan.terms, terms).p < LEVEL

    def ordered(terms: Sequence[str]) -> Terms:
        return tuple(term for term in plan.terms if term in terms)

    def strength(term: str) -> tuple[float, float]:
        alone, lost = shelf.compare(measure, (), (term,)), shelf.compare(measure, plan.without(term), plan.terms)
        return up * alone.value, up * lost.value

    if not (yield from differs(())):
        return ()
    ranked = sorted(plan.terms, key=strength, reverse=True)
    few, many = 0, len(ranked)
    while many - few > 1:
        half = (few + many) // 2
        if (yield from differs(ordered(ranked[:half]))):
            few = half
        else:
            many = half
    kept = ordered(ranked[:many])
    for term in reversed(ranked[:many]):
        rest = tuple(one for one in kept if one != term)
        if rest and not (yield from differs(rest)):
            kept = rest
    return kept


def _report(shelf: Shelf, measures: list[Measure], shortest: Terms | None, notices: tuple[str, ...], seconds: float) -> Report:
    receipts = shelf.receipts.values()
    findings: list[Finding] = []
    for measure in measures:
        try:
            findings += _findings(shelf, measure, shortest)
        except InputError as error:
            shelf.failures[f"{measure.label}: {error}"] = None
    said = dict.fromkeys([*notices, *(notice for receipt in receipts for notice in receipt.notices)])
    return Report(
        findings=tuple(findings),
        shortest=None if shortest is None else ", ".join(shortest),
        seeds=shelf.plan.seeds,
        pictures=len(receipts),
        rows_asked=sum(receipt.rows_asked for receipt in receipts),
        rows_run=sum(receipt.rows_run for receipt in receipts),
        seconds=seconds,
        notices=tuple(said),
        failures=tuple(shelf.failures),
        power=power_note(len(shelf.plan.seeds), shelf.plan.comparisons),
    )


def _findings(shelf: Shelf, measure: Measure, shortest: Terms | None) -> list[Finding]:
    plan = shelf.plan

    def finding(kind: Kind, term: str, arm: Terms, against: Against = "") -> Finding:
        estimate = shelf.estimate(measure, arm)
        other = plan.terms if against == "whole" else ()
        untold = not against or (against == "none" and measure.over == "pair")  # a pair is measured from none as it is
        change = None if untold else shelf.compare(measure, other, arm)
        return Finding(kind, term, ", ".join(arm), measure.label, estimate, change, against, None, shelf.rows(arm))

    whole = ", ".join(plan.terms)
    found = [finding("none", "", ()), finding("whole", "", plan.terms, "none")]
    found += [finding("alone", term, (term,), "none") for term in plan.terms]
    found += [finding("without", term, plan.without(term), "whole") for term in plan.terms]
    # arms that are one arm are compared once, see `Ablation.comparisons`
    pairs = [frozenset((one.negative, whole if one.against == "whole" else "")) for one in found]
    once = {pair: one.difference.p for pair, one in zip(pairs, found, strict=True) if one.difference}
    corrected = dict(zip(once, holm([*once.values()]), strict=True))
    found = [replace(one, corrected=corrected.get(pair)) for pair, one in zip(pairs, found, strict=True)]
    return found if shortest is None else [*found, finding("shortest", "", shortest, "whole")]
