"""The report of a study: one page that needs nothing beside it, and its tables as CSV and Parquet."""

from __future__ import annotations

import base64
import csv
from collections import Counter
from collections.abc import Sequence
from importlib.util import find_spec
from io import BytesIO, StringIO
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from negativa.experiments.charts import chart
from negativa.experiments.place import PAGE, SCORES, VERDICTS
from negativa.experiments.records import Picture
from negativa.experiments.statistics import LEVEL, power_note
from negativa.experiments.store import Store
from negativa.experiments.verdicts import Verdict
from negativa.measures import build

if TYPE_CHECKING:
    from PIL import Image

TEMPLATES: Final = Path(__file__).parent / "templates"
SEEDS: Final = 8  # columns of the contact sheet
SIDE: Final = 160  # pixels at most, of a picture on it
Row = dict[str, Any]


def write_report(store: Store, verdicts: Sequence[Verdict]) -> Path:
    """Write `report.html`, `scores.csv` and `verdicts.csv`, and both as `.parquet` where pyarrow is installed.

    Every file appears whole or not at all. Returns the path of the page. Raises `OutputError` if one cannot be written.
    """
    pictures = store.all()
    _write_table(store, SCORES, _score_rows(store, pictures))
    _write_table(store, VERDICTS, _verdict_rows(store, verdicts))
    path = store.folder / PAGE
    store.write(path, _page(store, verdicts, pictures).encode())
    return path


def _page(store: Store, verdicts: Sequence[Verdict], pictures: Sequence[Picture]) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    page = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    page.filters |= {"figure": _figure, "signed": lambda value: _figure(value, "+"), "chance": _chance}
    plan = store.plan
    fewest = min([len(plan.seeds), *(one.difference.n for one in verdicts if one.difference)])
    measures = []
    for name in plan.measures:
        found = [verdict for verdict in verdicts if verdict.measure == name]
        scored = [verdict for verdict in found if verdict.estimate is not None]
        drawn = Markup(chart(scored, build(name).unit)) if scored else ""
        measures.append({"name": name, "kind": build(name), "verdicts": found, "chart": drawn})
    return page.get_template("report.html").render(
        plan=plan,
        arms=plan.arms(),
        baselines={arm.baseline for arm in plan.arms()},
        measures=measures,
        sheet=_sheet(store, pictures),
        costs=_costs(store, pictures),
        failures=_failures(store),
        notices=_notices(pictures),
        made=_made(pictures),
        facts=_facts(store, pictures),
        power=power_note(fewest, plan.comparisons or 1),
        level=LEVEL,
    )


def _sheet(store: Store, pictures: Sequence[Picture]) -> Row:
    """The first seeds of every arm, as data URIs."""
    seeds = store.plan.seeds[:SEEDS]
    at = {(one.arm, one.seed): one for one in pictures}
    rows = []
    for arm in store.plan.arms():
        found = [at.get((arm.label, seed)) for seed in seeds]
        rows.append({"label": arm.label, "images": [one and _data_uri(store.image(one)) for one in found]})
    return {"seeds": seeds, "rows": rows}


def _data_uri(image: Image.Image) -> str:
    small = image.copy()
    small.thumbnail((SIDE, SIDE))
    file = BytesIO()
    small.save(file, "JPEG", quality=88)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"


def _costs(store: Store, pictures: Sequence[Picture]) -> list[Row]:
    """What each arm took, and all of them together."""
    rows = []
    for label in [*(arm.label for arm in store.plan.arms()), None]:
        mine = [one.receipt for one in pictures if label in (None, one.arm)]
        asked, run = sum(r["rows_asked"] for r in mine), sum(r["rows_run"] for r in mine)
        each = asked / len(mine) if mine else 0.0
        rows.append({"label": label or "all", "pictures": len(mine), "asked": asked, "each": each, "run": run})
    return rows


def _failures(store: Store) -> list[Row]:
    """What could not be done, with the seeds of equal reasons together."""
    seeds: dict[tuple[str, str], list[str]] = {}
    for one in store.failures():
        seeds.setdefault((one.arm, one.sentence), []).append("all" if one.seed is None else str(one.seed))
    return [{"arm": arm, "sentence": why, "seeds": ", ".join(which)} for (arm, why), which in seeds.items()]


def _notices(pictures: Sequence[Picture]) -> list[Row]:
    said = Counter((one.arm, notice) for one in pictures for notice in one.receipt["notices"])
    return [{"arm": arm, "notice": notice, "count": count} for (arm, notice), count in said.items()]


def _made(pictures: Sequence[Picture]) -> list[tuple[str, int]]:
    """How pictures were made, and how many so: one line unless versions or machines changed on the way."""
    said: Counter[str] = Counter()
    for one in pictures:
        receipt = one.receipt
        versions = ", ".join(f"{name} {number}" for name, number in receipt["versions"].items())
        exact = ", reproducible" if receipt["reproducible"] else ""
        model = f"{receipt['recipe']['model']} ({receipt['model_hash']})"
        said[f"{model} on {receipt['device']} in {receipt['dtype']}{exact}; {versions}"] += 1
    return said.most_common()


def _facts(store: Store, pictures: Sequence[Picture]) -> Row:
    """The plan, and the runs that carried it out."""
    plan = {name: value for name, value in store.plan.to_dict().items() if name not in ("title", "claim", "seeds", "arms")}
    seeds = store.plan.seeds
    run = seeds == tuple(range(seeds[0], seeds[0] + len(seeds)))
    plan["seeds"] = f"{seeds[0]}:{seeds[-1] + 1}" if run else ", ".join(map(str, seeds))
    sizes = Counter(f"{one.receipt['recipe']['width']}x{one.receipt['recipe']['height']}" for one in pictures)
    return {
        "plan": {name: _said(value) for name, value in plan.items()},
        "pixels": ", ".join(sizes),
        "hash": store.plan.hash,
        "begun": store.begun,
        "runs": store.runs(),
    }


def _said(value: object) -> str:
    if isinstance(value, list):
        return " | ".join("the model's own" if one is None else str(one) or "(none)" for one in value)
    return "the model's own" if value is None else str(value)


def _score_rows(store: Store, pictures: Sequence[Picture]) -> list[Row]:
    """One row a score, in the order of the plan; a score over a whole arm has no seed, and no picture."""
    at = {(one.arm, one.seed): one for one in pictures}
    rows: list[Row] = []
    for name in store.plan.measures:
        kind = build(name)
        for arm in store.plan.arms():
            for seed, value in store.scores(name, arm.label).items():
                if kind.over == "arm" and seed is not None:
                    continue  # what an interval was made of
                one = None if seed is None else at[arm.label, seed]
                asked = None if one is None else one.receipt["rows_asked"]
                row = {"measure": name, "unit": kind.unit, "better": kind.better, "arm": arm.label, "baseline": arm.baseline}
                rows.append(row | {"seed": seed, "value": value, "rows_asked": asked, "picture": one and one.hash})
    return rows


def _verdict_rows(store: Store, verdicts: Sequence[Verdict]) -> list[Row]:
    rows: list[Row] = []
    for one in verdicts:
        row: Row = {"measure": one.measure, "arm": one.arm, "baseline": one.baseline}
        for name, value in (("", one.estimate), ("difference_", one.difference)):
            part = {key: None if value is None else getattr(value, key) for key in ("value", "low", "high", "n")}
            row |= {f"{name}{key}": each for key, each in part.items()}
        p = None if one.difference is None else one.difference.p
        rows.append(row | {"p": p, "p_holm": one.corrected, "verdict": one.word, "rows_asked_per_picture": one.rows})
    return rows


def _write_table(store: Store, name: str, rows: Sequence[Row]) -> None:
    if not rows:
        return
    text = StringIO(newline="")
    table = csv.DictWriter(text, rows[0], lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    store.write(store.folder / f"{name}.csv", text.getvalue().encode())
    if find_spec("pyarrow"):
        import pyarrow
        from pyarrow import parquet

        file = BytesIO()
        parquet.write_table(pyarrow.Table.from_pylist(list(rows)), file)
        store.write(store.folder / f"{name}.parquet", file.getvalue())


def _figure(value: float, sign: str = "") -> str:
    """Three significant digits, without exponents where they can be had; a dash for what is no number."""
    if isnan(value):
        return "–"
    said = f"{value:{sign}.0f}" if abs(value) >= 1000 else f"{value:{sign if value else ''}.3g}"
    return said.replace("-", "−")


def _chance(p: float | None) -> str:
    return "" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"
