"""Carries out every plan in studies/ and writes what came of it beside the plan: a table and the first pictures of each arm.

The whole of a study, with its database, pictures and report, goes to out/studies/<name>; a run that is broken off goes on
from there. Give names to run only those.
"""

from __future__ import annotations

import os
import sys
from itertools import groupby
from math import isnan
from pathlib import Path

from negativa.experiments.plan import read_plan
from negativa.experiments.sheet import sheet
from negativa.experiments.statistics import power_note
from negativa.experiments.store import Store
from negativa.experiments.studying import Drawn, Finished, study
from negativa.experiments.verdicts import Verdict
from negativa.experiments.workers import Processes
from negativa.measures import build

ROOT = Path(__file__).parent.parent
SEEDS = 8  # pictures of each arm that are shown


def main() -> None:
    names = sys.argv[1:] or sorted(path.stem for path in (ROOT / "studies").glob("*.toml"))
    with Processes(os.cpu_count() or 1) as make:
        for name in names:
            plan, folder = read_plan(ROOT / "studies" / f"{name}.toml"), ROOT / "out" / "studies" / name
            verdicts: tuple[Verdict, ...] = ()
            for event in study(plan, folder, make):
                if isinstance(event, Drawn) and event.done % 100 == 0:
                    print(f"{name}: {event.done} of {event.pictures}", flush=True)
                if isinstance(event, Finished):
                    verdicts = event.verdicts
            with Store(folder, plan) as store:
                (ROOT / "studies" / f"{name}.md").write_text(page(store, verdicts, name))
                contact(store).quantize(128).save(ROOT / "studies" / f"{name}.png", optimize=True)
            print(folder / "report.html", flush=True)


def page(store: Store, verdicts: tuple[Verdict, ...], name: str) -> str:
    plan, pictures = store.plan, store.all()
    scale = "" if len(plan.scales) > 1 else f", scale {pictures[0].receipt['recipe']['scale']:g}"
    model = ", ".join(dict.fromkeys(f"{one.receipt['recipe']['model']} {one.receipt['model_hash']}" for one in pictures))
    lines = [
        f"# {plan.title}",
        "",
        f"The claim: {plan.claim}",
        "",
        f"Measured on {model}: {len(plan.seeds)} seeds, {plan.steps} steps{scale}.",
    ]
    lost = len(plan.arms()) * len(plan.seeds) - len(pictures)
    lines += [f"{lost} pictures could not be made."] if lost else []
    told = power_note(len(plan.seeds), plan.comparisons or 1)
    lines += [f"P-values are Holm's, over the comparisons by one measure; {told}.", ""]
    for measure, group in groupby(verdicts, key=lambda one: one.measure):
        kind = build(measure)
        better = "" if kind.better == "neither" else f"; {kind.better} is better"
        lines += [f"## {measure}", "", f"{kind.unit[0].upper()}{kind.unit[1:]}{better}.", ""]
        lines += ["| arm | 95 % interval | change by the negative | p | | rows a picture |", "|---|---|---|---|---|---|"]
        lines += [row(one) for one in group]
        lines.append("")
    return "\n".join([*lines, f"![The first pictures of every arm]({name}.png)", ""])


def row(one: Verdict) -> str:
    value, change = one.estimate, one.difference
    shown = "–" if value is None else between(value.value, value.low, value.high)
    apart = (
        ("", "", "")
        if change is None
        else (between(change.value, change.low, change.high, "+"), chance(one.corrected), one.word)
    )
    return f"| {one.arm} | {shown} | {' | '.join(apart)} | {one.rows:.0f} |"


def between(value: float, low: float, high: float, sign: str = "") -> str:
    shown, least, most = (f"{number:{sign if number else ''}.3g}".replace("-", "−") for number in (value, low, high))
    return shown if isnan(low) else f"{shown} ({least} to {most})"


def chance(p: float | None) -> str:
    return "" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def contact(store: Store):
    """The first seeds that every arm has a picture of."""
    at = {(one.arm, one.seed): one for one in store.all()}
    arms = [arm.label for arm in store.plan.arms()]
    seeds = [seed for seed in store.plan.seeds if all((arm, seed) in at for arm in arms)]
    return sheet([[store.image(at[arm, seed]) for seed in seeds[:SEEDS]] for arm in arms], arms)


if __name__ == "__main__":
    main()
