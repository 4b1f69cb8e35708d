"""What papers say of two rules, held against terrarium."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from pictures import Cell

from negativa.experiments.statistics import Estimate


@dataclass(frozen=True)
class Ordering:
    """`more` has more of a figure than `less`, says `source`; both at weight 1."""

    more: str
    less: str
    figure: Literal["removed", "kept"]
    source: str

    def line(self, cells: Mapping[str, Cell]) -> str:
        """The row of a table: what is said, by how many points it holds here, and whether that is beyond chance."""
        value, low, high = _apart(*(_figure(cells[name], self.figure) for name in (self.more, self.less)))
        verdict = "holds" if low > 0 else "**does not hold**" if high < 0 else "not decided"
        points = f"{100 * value:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"
        return f"| {self.more} over {self.less} | {self.figure} | {self.source} | {points} | {verdict} |"


SLD: Final = "Schramowski et al. 2023, arXiv 2211.05105: inappropriate pictures become fewer with every strength"
PERP: Final = "Armandpour et al. 2023, arXiv 2304.04968: the prompt suffers less"
DNG: Final = "Koulischer et al. 2025, arXiv 2410.14398: safer than a constant negative"
CCFG: Final = "Chang et al. 2024, arXiv 2411.17077: what is wanted suffers less than under the plain difference"
VSF: Final = "Guo & Du 2025, arXiv 2508.10931, NegGenBench"
WINDOW: Final = "Ban et al. 2024, arXiv 2406.02965: a late start leaves the rest alone"
ORDERINGS: Final = (
    Ordering("sld", "sld:weak", "removed", SLD),
    Ordering("sld:strong", "sld", "removed", SLD),
    Ordering("sld:max", "sld:strong", "removed", SLD),
    Ordering("perp_neg", "cfg", "kept", PERP),
    Ordering("perp_neg", "composable", "kept", PERP),
    Ordering("dng", "composable", "removed", DNG),
    Ordering("ccfg", "composable", "kept", CCFG),
    Ordering("vsf at scale 1", "nag at scale 1", "removed", VSF),
    Ordering("nag at scale 1", "vsf at scale 1", "kept", VSF),
    Ordering("vsf", "nasa", "removed", VSF),
    Ordering("nasa", "nag", "removed", VSF),
    Ordering("vsf", "cfg", "removed", VSF),
    Ordering("cfg, window noun", "cfg", "kept", WINDOW),
)


def lines(found: Sequence[Cell]) -> Iterator[str]:
    """Lines of the page: every ordering, and how it fares."""
    cells = {one.name: one for one in found if one.weight == 1}
    yield from [
        "## What papers say",
        "",
        "Both at weight 1, on the pictures above; points between the two with a 95 % interval (Zou & Donner 2008).",
        "Both have the same seeds and prompts, which an interval made of two separate ones does not use; none is corrected",
        "for the number of orderings.",
        "These are other models, sizes and measures than theirs: what holds here need not hold there, nor the other way.",
        "",
        "| ordering | figure | source | points | here |",
        "|---|---|---|---|---|",
    ]
    yield from (one.line(cells) for one in ORDERINGS)
    yield ""


def _figure(cell: Cell, name: str) -> Estimate:
    return cell.gone if name == "removed" else cell.same


def _apart(one: Estimate, other: Estimate) -> tuple[float, float, float]:
    """one - other, with the interval that their own intervals make."""
    value = one.value - other.value
    low = value - math.hypot(one.value - one.low, other.high - other.value)
    return value, low, value + math.hypot(one.high - one.value, other.value - other.low)
