"""Charts of verdicts: dots with intervals, as SVG that takes its colours from the page it stands in."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from io import StringIO
from typing import Any, Final

from negativa.experiments.statistics import Difference, Estimate
from negativa.experiments.verdicts import Verdict

NAMES: Final = ("ink", "line", "mark", "pale", "paper")  # of the page's colours
INK, LINE, MARK, PALE, PAPER = COLOURS = [f"#01010{i}" for i in range(len(NAMES))]  # stand for them until the chart is drawn
WIDTH: Final = 9.0  # inches, of 72 SVG units each
LABEL: Final = 40  # letters in a line of an arm's name


def chart(verdicts: Sequence[Verdict], unit: str) -> str:
    """One measure: on the left each arm's estimate, on the right its difference from its baseline, 95 % intervals on both.

    Returns an `<svg>` element without colours of its own; a difference that is told apart from nothing is filled.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    names = [_wrapped(verdict.arm) for verdict in verdicts]
    compared = any(verdict.difference for verdict in verdicts)
    tall = sum(0.22 + 0.15 * name.count("\n") + 0.08 for name in names) + 0.75
    settings: Any = {
        "text.parse_math": False,
        "svg.fonttype": "none",
        "svg.hashsalt": verdicts[0].measure,
        "font.family": "sans-serif",
        "font.size": 9,
    }
    with rc_context(settings):
        figure = Figure(figsize=(WIDTH, tall), layout="constrained")
        panels = figure.subplots(1, 2 if compared else 1, sharey=True, squeeze=False)[0]
        _panel(panels[0], [verdict.estimate for verdict in verdicts], [True] * len(verdicts), unit)
        panels[0].set_yticks(range(len(names)), names)
        panels[0].set_ylim(len(names) - 0.4, -0.6)
        if compared:
            told = [verdict.word not in ("", "not told apart") for verdict in verdicts]
            _panel(panels[1], [verdict.difference for verdict in verdicts], told, "difference from no negative")
            panels[1].axvline(0, color=PALE, linewidth=1)
            panels[1].tick_params(left=False)
        file = StringIO()
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _for_page(file.getvalue())


def _panel(axes, values: Sequence[Estimate | Difference | None], filled: Sequence[bool], title: str) -> None:
    for place, (value, fill) in enumerate(zip(values, filled, strict=True)):
        if value is not None:
            axes.plot([value.low, value.high], [place, place], color=MARK, linewidth=2, solid_capstyle="round")
            face = MARK if fill else PAPER
            axes.plot(value.value, place, "o", color=MARK, markerfacecolor=face, markersize=6)
    axes.set_xlabel(textwrap.fill(title, 60), color=INK)
    axes.grid(axis="x", color=LINE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.locator_params(axis="x", nbins=5)
    axes.tick_params(colors=INK, labelcolor=INK, length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(LINE)


def _wrapped(name: str) -> str:
    return "\n".join(textwrap.wrap(name, LABEL, max_lines=4, placeholder=" …")) or name


def _for_page(svg: str) -> str:
    """The element alone, as wide as its page, coloured by it."""
    for colour, name in zip(COLOURS, NAMES, strict=True):
        svg = svg.replace(colour, f"var(--{name})")
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, count=1, flags=re.DOTALL)
    return re.sub(r' width="([\d.]+)pt" height="[\d.]+pt"', r' style="width: 100%; max-width: \1pt"', svg, count=1)
