"""An ablation's report as a table and as a bar chart with intervals."""

from __future__ import annotations

import csv
import io
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from negativa.experiments.ablation import Finding, Report
from negativa.language.files import write

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS: Final = {"alone": "#2980b9", "without": "#c0392b", "whole": "#555555"}
PANELS: Final = (("alone", "each term alone, against no negative"), ("without", "each term left out, against the whole"))


def write_report(folder: Path, report: Report) -> list[Path]:
    """Write `ablation.csv`, and `<measure>.png` and `<measure>.svg` for each measure; every file whole or not at all.

    Raises `OutputError` if one cannot be written.
    """
    from matplotlib import rc_context

    files = {"ablation.csv": _csv(report).encode()}
    for number, (measure, findings) in enumerate(by_measure(report).items(), 1):
        name = "".join(letter if letter.isalnum() else "-" for letter in measure)[:60]
        name = name if f"{name}.png" not in files else f"{name}-{number}"
        with rc_context({"text.parse_math": False}):  # a term may hold a dollar
            figure = bars(findings, len(report.seeds))
        for kind in ("png", "svg"):
            file = io.BytesIO()
            figure.savefig(file, format=kind, dpi=150)
            files[f"{name}.{kind}"] = file.getvalue()
    for name, content in files.items():
        write("out", folder / name, content)
    return [folder / name for name in files]


def by_measure(report: Report) -> dict[str, list[Finding]]:
    """The findings of each measure, the terms from what does most alone to what does least."""
    found: dict[str, list[Finding]] = {}
    for one in report.findings:
        found.setdefault(one.measure, []).append(one)
    return {measure: _ranked(findings) for measure, findings in found.items()}


def bars(findings: Sequence[Finding], seeds: int) -> Figure:
    """One measure as a bar chart: what each term does alone, and what is lost without it, with 95 % intervals."""
    from matplotlib.figure import Figure

    whole = next(one.difference for one in findings if one.kind == "whole")
    terms = [one.term for one in findings if one.kind == "alone"]
    figure = Figure(figsize=(10, 1.6 + 0.32 * len(terms)), layout="constrained")
    panels: Sequence[Axes] = figure.subplots(1, 2, sharey=True)
    for panel, (kind, title) in zip(panels, PANELS, strict=True):
        shown = {one.term: one.difference for one in findings if one.kind == kind}
        for place, term in enumerate(terms):
            if (change := shown[term]) is not None:
                panel.barh(place, change.value, color=COLOURS[kind], height=0.7)
                panel.plot([change.low, change.high], [place, place], color="black", linewidth=1.2, marker="|", markersize=6)
        panel.axvline(0, color="black", linewidth=0.8)
        panel.set_title(title, fontsize=10)
        panel.grid(axis="x", linewidth=0.4)
        panel.set_axisbelow(True)
    if whole is not None:
        panels[0].axvspan(whole.low, whole.high, color=COLOURS["whole"], alpha=0.15, linewidth=0)
        panels[0].axvline(whole.value, color=COLOURS["whole"], linestyle="--", linewidth=1.2, label="the whole negative")
        panels[0].legend(fontsize=8)
    panels[0].set_yticks(range(len(terms)), [textwrap.shorten(term, 40, placeholder=" …") for term in terms])
    panels[0].set_ylim(len(terms) - 0.4, -0.6)
    figure.supxlabel(f"difference in {findings[0].measure}, {seeds} seeds, 95 % intervals", fontsize=10)
    return figure


def rows(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """The findings as plain values, a column each, the numbers unrounded."""
    return [
        {
            "measure": one.measure,
            "kind": one.kind,
            "term": one.term,
            "negative": one.negative,
            "value": one.estimate.value,
            "low": one.estimate.low,
            "high": one.estimate.high,
            "n": one.estimate.n,
            "against": one.against,
            "difference": one.difference.value if one.difference else "",
            "difference_low": one.difference.low if one.difference else "",
            "difference_high": one.difference.high if one.difference else "",
            "p": one.difference.p if one.difference else "",
            "p_holm": "" if one.corrected is None else one.corrected,
            "rows_asked": one.rows,
        }
        for one in findings
    ]


def _csv(report: Report) -> str:
    file = io.StringIO()
    table = rows(report.findings)
    writer = csv.DictWriter(file, list(table[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    return file.getvalue()


def _ranked(findings: Sequence[Finding]) -> list[Finding]:
    effect = {one.term: one.difference.value for one in findings if one.kind == "alone" and one.difference}
    whole = next((one.difference.value for one in findings if one.kind == "whole" and one.difference), 0)
    kinds = ["none", "whole", "alone", "without", "shortest"]
    up = -1 if whole >= 0 else 1
    return sorted(findings, key=lambda one: (kinds.index(one.kind), up * effect.get(one.term, 0)))
