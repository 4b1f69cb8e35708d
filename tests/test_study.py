"""Studies: what a plan says and refuses, and that nothing is lost, done twice or changed by an interruption."""

from __future__ import annotations

import csv
import hashlib
import html
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import load_file, save_file

import negativa
import negativa.terrarium
from negativa import InputError, ModelError, Negative, Receipt, Recipe
from negativa.experiments.charts import chart
from negativa.experiments.making import Here, Made
from negativa.experiments.plan import Plan, read_plan
from negativa.experiments.statistics import Estimate
from negativa.experiments.studying import Begun, Damaged, Drawn, Failed, Finished, Scored, study
from negativa.experiments.verdicts import Verdict
from negativa.language.named import expand
from negativa.measures import Shot, build
from negativa.plain.receipt import OUT_OF_RANGE
from tests import lora_files
from tests.conftest import tiny_pipeline

STUDIES = sorted(Path(__file__).parents[1].joinpath("studies").glob("*.toml"))
SEEDS = 5


@pytest.fixture(scope="session")
def here() -> Here:
    """Makes the same picture bit for bit whatever it is made with; the small model is loaded once."""
    return Here(device="cpu", reproducible=True)


@pytest.fixture(scope="session")
def values(folder: Path) -> dict[str, Any]:
    """A small plan on the small model."""
    return {
        "prompts": "portrait of a man",
        "negatives": ["", "mustache"],
        "models": str(folder),
        "seeds": f"0:{SEEDS}",
        "steps": 2,
        "measures": ["contrast", "kept", "spread"],
    }


@pytest.fixture(scope="session")
def finished(values: dict[str, Any], here: Here, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of that plan, carried out without a disturbance."""
    out = tmp_path_factory.mktemp("studies") / "finished"
    list(study(Plan(**values), out, here))
    return out


def toml(values: dict[str, Any]) -> str:
    """Plain values as TOML; its strings and arrays are written like JSON's."""
    tables = [arm for arm in values.get("arms", ()) if isinstance(arm, dict)]
    plain = {name: value for name, value in values.items() if value is not None and not (name == "arms" and tables)}
    lines = [f"{name} = {json.dumps(value, ensure_ascii=False)}\n" for name, value in plain.items()]
    return "".join([*lines, *("\n[[arms]]\n" + toml(arm) for arm in tables)])


def plan_in(folder: Path, **values: Any) -> Path:
    path = folder / "plan.toml"
    path.write_bytes(toml(values).encode())
    return path


# --- what a plan says

words = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Z"]), min_size=1, max_size=60)
letters = st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Z"], exclude_characters="@:")
bare = st.text(letters, min_size=1, max_size=60)  # a negative without numbers
plans = st.fixed_dictionaries(
    {
        "prompts": words | st.lists(words, min_size=1, max_size=3, unique=True),
        "seeds": st.lists(st.integers(0, 2**63 - 1), min_size=2, max_size=5, unique=True)
        | st.integers(0, 1000).flatmap(lambda first: st.integers(2, 50).map(lambda n: f"{first}:{first + n}")),
        "negatives": st.lists(bare, min_size=1, max_size=3, unique=True).map(lambda some: [*some, ""]),
        "scales": st.lists(st.floats(-50, 50).map(lambda x: x + 0.0), min_size=1, max_size=3, unique=True) | st.integers(1, 20),
    },
    optional={
        "rules": st.sampled_from(["cfg", "none", ["none", "cfg"]]),
        "steps": st.integers(1, 100),
        "sampler": st.sampled_from(["euler", "ddim"]),
        "title": words,
        "claim": words,
    },
)


@given(plans)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_plan_is_the_product_of_its_axes_and_survives_being_written_down(tmp_path: Path, values: dict[str, Any]) -> None:
    plan = read_plan(plan_in(tmp_path, **values))
    assert plan == Plan(**values) == Plan.from_dict(json.loads(json.dumps(plan.to_dict())))
    assert plan.hash == Plan(**values).hash != Plan(**{**values, "prompts": "another"}).hash

    arms = plan.arms()
    axes = [values.get(name, "one") for name in ("prompts", "negatives", "rules", "scales")]
    assert len(arms) == np.prod([len(axis) if isinstance(axis, list) else 1 for axis in axes])
    assert len({arm.label for arm in arms}) == len({arm.recipe for arm in arms}) == len(arms)
    labels = {arm.label: arm for arm in arms}
    for arm in arms:
        assert arm.at(7) == arm.recipe.replace(seed=7)
        if arm.recipe.negative:
            assert arm.baseline is not None
            assert labels[arm.baseline].recipe == arm.recipe.replace(negative=None)
        else:
            assert arm.baseline is None


def test_a_negative_in_a_plan_has_the_weight_and_window_that_are_written_behind_it() -> None:
    plan = Plan(
        "a man", "3:5", ["", "hat", "hat:0.50", "hat:1:0.2:1", "at 10:30"], handmade=[{"label": "x", "negative": "hat:2"}]
    )
    assert plan.negatives == ("", "hat", "hat:0.5", "hat:1.0:0.2:1.0", "at 10:30")
    found = [Negative("hat"), Negative("hat", 0.5), Negative("hat", 1, 0.2), Negative("at 10:30"), Negative("hat", 2)]
    several = Plan("a man", "3:5", handmade=[{"label": "x", "negative": ["hat:2", "@short"]}]).arms()[1].recipe.negative
    assert several == (Negative("hat", 2), Negative(expand("@short")))
    assert [one for arm in plan.arms() for one in arm.recipe.negative] == found
    assert Plan.from_dict(plan.to_dict()) == plan and plan.arms()[2].label == "not “hat:0.5”"
    with pytest.raises(InputError, match=r"negative: 'hat:1e3' was given; allowed: TEXT"):
        Plan("a man", "3:5", ["", "hat:1e3"])


def test_what_a_plan_leaves_open_is_said_by_its_defaults_and_labels_name_what_varies() -> None:
    plan = Plan("a man", "3:5", ["", "hat"], scales=[1, 7.5])
    assert (plan.seeds, plan.steps, plan.sampler, plan.models, plan.width) == ((3, 4), 30, "euler_a", ("terrarium",), None)
    assert [arm.label for arm in plan.arms()] == [
        *("no negative, scale 1", "no negative, scale 7.5", "not “hat”, scale 1", "not “hat”, scale 7.5")
    ]
    written = {"32": range(32), "100:132": range(100, 132), " 5 : 7 ": range(5, 7)}
    assert all(Plan("a man", text).seeds == tuple(seeds) for text, seeds in written.items())
    assert Plan("a man", 3).arms()[0].recipe.scale is None  # the model's own


def test_handmade_arms_take_what_they_do_not_say_from_the_plan() -> None:
    late = {"label": "late", "negative": "hat", "window": [0.5, 1]}
    weak = {"label": "weak", "negative": [{"condition": "hat", "weight": 0.5}]}
    plan = Plan("a man", "0:2", ["", "hat"], scales=3, steps=9, handmade=[late, weak])
    assert [(arm.label, arm.baseline) for arm in plan.arms()[2:]] == [("late", "no negative"), ("weak", "no negative")]
    expected = Recipe("a man", "hat", scale=3, steps=9, window=(0.5, 1), model="terrarium", sampler="euler_a")
    assert plan.arms()[2].recipe == expected
    assert plan.arms()[3].recipe == expected.replace(negative=negativa.Negative("hat", 0.5), window=(0, 1))
    assert Plan.from_dict(plan.to_dict()) == plan


BAD = {
    "unknown": ({"promts": "x"}, "there is no key 'promts'; did you mean 'prompts'"),
    "no seeds": ({"seeds": None}, "seeds: none was given"),
    "empty": ({"negatives": []}, "negatives: an empty list was given"),
    "no measure": ({"measures": []}, "measures: an empty list was given"),
    "twice": ({"negatives": ["", "hat", " hat"]}, "negatives: 'hat' stands there twice"),
    "the same scale": ({"scales": [3, 3.0]}, "scales: 3.0 stands there twice"),
    "seed twice": ({"seeds": [4, 5, 4]}, "seeds: 4 stands there twice"),
    "type": ({"prompts": ["x", 3]}, "prompts: 3 was given; allowed: a text"),
    "table": ({"rules": [["cfg"]]}, "rules: ['cfg'] was given; allowed: a text"),
    "truth": ({"scales": True}, "scales: True was given; allowed: a finite number"),
    "scale": ({"scales": 1e9}, "scale: 1000000000.0 was given"),
    "seed": ({"seeds": [-1, 2]}, "seeds: -1 was given; allowed: a whole number"),
    "range": ({"seeds": "5:5"}, "seeds: '5:5' was given; allowed: COUNT, or FIRST:END"),
    "range of words": ({"seeds": "all"}, "seeds: 'all' was given"),
    "too many seeds": ({"seeds": "0:999999999999"}, "at most 100000 seeds"),
    "too many pictures": ({"seeds": "0:60000"}, "the plan has 120000 pictures"),
    "steps": ({"steps": 2.5}, "steps: 2.5 was given"),
    "sampler": ({"sampler": "eulera"}, "did you mean 'euler_a'"),
    "rule": ({"rules": "cfgg"}, "did you mean 'cfg'"),
    "measure": ({"measures": "presense:hat"}, "there is no measure 'presense'; did you mean 'presence'"),
    "measure twice": ({"measures": ["kept", "kept"]}, "measures: 'kept' stands there twice"),
    "title": ({"title": 3}, "title: 3 was given"),
    "arm": ({"arms": [{"label": "x", "windows": [0, 1]}]}, "there is no field 'windows'; did you mean 'window'"),
    "arm without a name": ({"arms": [{"negative": "hat"}]}, "label: arm number 1"),
    "arm without a table": ({"arms": ["x"]}, "arms: ['x'] was given; allowed: tables"),
}

UNFAIR = {
    "one seed": ({"seeds": [4]}, "seeds: 1 was given for 2 arms; a comparison needs at least 2"),
    "steps": ({"arms": [{"label": "x", "steps": 60}]}, "steps: the arm 'x' has 60, the plan 30"),
    "sampler": ({"arms": [{"label": "x", "sampler": "ddim"}]}, "sampler: the arm 'x' has 'ddim', the plan 'euler_a'"),
    "size": ({"arms": [{"label": "x", "width": 64}]}, "width: the arm 'x' has 64, the plan None"),
    "own seeds": ({"arms": [{"label": "x", "seeds": "0:99"}]}, "seeds: the arm 'x' has its own"),
    "own seed": ({"arms": [{"label": "x", "seed": 1}]}, "seed: the arm 'x' has its own"),
    "dtype": ({"arms": [{"label": "x", "dtype": "float16"}]}, "dtype: the arm 'x' has its own"),
    "scale": ({"arms": [{"label": "x", "scale": 9}]}, "scale: the arm 'x' has 9.0; allowed: what scales declares"),
    "rule": ({"arms": [{"label": "x", "rule": "none"}]}, "rule: the arm 'x' has 'none'; allowed: what rules declares"),
    "prompt": ({"arms": [{"label": "x", "prompt": "best"}]}, "prompt: the arm 'x' has 'best'; allowed: what prompts declares"),
    "which scale": ({"scales": [2, 3], "arms": [{"label": "x"}]}, "scale: the arm 'x' has none, and scales has several"),
    "sizes of models": ({"models": ["a", "b"]}, "width and height: several models"),
    "no baseline": ({"negatives": ["hat", "cat"], "measures": "kept"}, "'kept' compares with the picture without the negative"),
    "one label": ({"arms": [{"label": "no negative", "window": [0.5, 1]}]}, "two arms are called 'no negative'"),
    "one arm twice": ({"arms": [{"label": "x", "negative": "hat"}]}, "'not “hat”' and 'x' are the same recipe"),
}


@pytest.mark.parametrize("case", [*BAD, *(f"unfair: {name}" for name in UNFAIR)])
def test_a_plan_that_is_wrong_or_unfair_is_refused_with_a_sentence(case: str, tmp_path: Path) -> None:
    changes, sentence = UNFAIR[case[8:]] if case.startswith("unfair: ") else BAD[case]
    path = plan_in(tmp_path, **({"prompts": "a man", "negatives": ["", "hat"], "seeds": "0:4"} | changes))
    with pytest.raises(InputError, match=re.escape(sentence)):
        read_plan(path)


@pytest.mark.parametrize("content", [b"prompts = ", b"a = 1\na = 2", b"\xff\xfe", b"x = " + b"[" * 9999, None])
def test_a_file_that_is_no_plan_is_refused_with_a_sentence(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"plan: .* (is not TOML|could not be read)"):
        read_plan(path)


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_the_studies_that_ship_are_fair(path: Path) -> None:
    plan = read_plan(path)
    assert plan.title and plan.claim and len(plan.seeds) >= 16
    assert sum(arm.baseline is not None for arm in plan.arms()) >= 2


def test_there_is_a_study_of_each_claim() -> None:
    assert {path.stem for path in STUDIES} >= {
        *("mustache", "trees-and-green", "low-scale", "lawn-and-cars", "window-timing", "quality-words", "three-by-three")
    }


# --- what a study does


class Counting:
    """Makes pictures as another does, and remembers what it was asked for."""

    def __init__(self, make: Here) -> None:
        self.make, self.asked = make, list[Recipe]()

    def __call__(self, recipes: Sequence[Recipe]) -> Iterator[Made]:
        self.asked += recipes
        return self.make(recipes)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def contents(out: Path) -> dict[str, bytes]:
    """All that may not depend on how a study came about."""
    check(out)
    files = [*sorted((out / "pictures").iterdir()), out / "scores.csv", out / "verdicts.csv"]
    return {path.name: path.read_bytes() for path in files}


def check(out: Path) -> int:
    """Whether the folder is sound: the database is whole, every row has its picture, every picture is whole."""
    with sqlite3.connect(out / "study.db") as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        rows = database.execute("SELECT hash, seed, receipt FROM pictures").fetchall()
    database.close()
    for name, seed, receipt in rows:
        path = out / "pictures" / f"{name}.png"
        assert hashlib.sha256(path.read_bytes()).hexdigest() == name
        assert negativa.read(path).recipe.to_dict() == json.loads(receipt)["recipe"]
        assert negativa.read(path).recipe.seed == seed
    return len(rows)


def test_scores_and_verdicts_are_those_of_the_pictures(finished: Path, values: dict[str, Any], here: Here) -> None:
    """Contrast is the standard deviation of luma; differences are paired by seed."""
    found: dict[tuple[str, int], float] = {}
    for row in rows_of(finished / "scores.csv"):
        if row["measure"] == "contrast":
            with Image.open(finished / "pictures" / f"{row['picture']}.png") as image:
                pixels = np.asarray(image, dtype=np.float64)
            luma = pixels @ [0.299, 0.587, 0.114] / 255
            assert float(row["value"]) == pytest.approx(luma.std(), rel=0.02)
            assert row["rows_asked"] == "4"
            found[row["arm"], int(row["seed"])] = float(row["value"])
    assert len(found) == 2 * SEEDS
    differences = [found["not “mustache”", seed] - found["no negative", seed] for seed in range(SEEDS)]
    verdicts = {(row["measure"], row["arm"]): row for row in rows_of(finished / "verdicts.csv")}
    verdict = verdicts["contrast", "not “mustache”"]
    assert float(verdict["difference_value"]) == pytest.approx(np.mean(differences))
    assert float(verdict["difference_low"]) <= float(verdict["difference_value"]) <= float(verdict["difference_high"])
    assert (verdict["n"], verdict["difference_n"], verdict["baseline"]) == (str(SEEDS), str(SEEDS), "no negative")
    assert verdict["p_holm"] == verdict["p"] and float(verdict["rows_asked_per_picture"]) == 4
    assert ("kept", "no negative") not in verdicts and verdicts["kept", "not “mustache”"]["difference_value"] == ""
    pixel = next(here([Recipe("portrait of a man", seed=0, steps=2, model=values["models"])]))
    assert pixel.image is not None
    kept = [row for row in rows_of(finished / "scores.csv") if row["measure"] == "contrast"]
    with Image.open(finished / "pictures" / f"{kept[0]['picture']}.png") as image:
        assert image.tobytes() == pixel.image.tobytes()


def test_a_number_of_a_whole_arm_has_a_jackknife_interval(finished: Path) -> None:
    """Tukey: the standard error is sqrt((n - 1) / n * sum (x_i - mean)^2) of the n values that leave one out."""
    shots: list[Shot] = []
    for row in rows_of(finished / "scores.csv"):
        if row["measure"] == "contrast" and row["arm"] == "not “mustache”":
            image = Image.open(finished / "pictures" / f"{row['picture']}.png").convert("RGB")
            shots.append(Shot(image, Recipe(model="other")))
    left_out = np.array([build("spread").score(shots[:i] + shots[i + 1 :])[0] for i in range(SEEDS)])
    error = np.sqrt((SEEDS - 1) / SEEDS * ((left_out - left_out.mean()) ** 2).sum())
    value, reach = build("spread").score(shots)[0], scipy.stats.t.ppf(0.975, SEEDS - 1) * error
    row = next(r for r in rows_of(finished / "verdicts.csv") if (r["measure"], r["arm"]) == ("spread", "not “mustache”"))
    assert [float(row[name]) for name in ("value", "low", "high")] == pytest.approx([value, value - reach, value + reach])
    assert int(row["n"]) == int(row["difference_n"]) == SEEDS


@pytest.mark.parametrize("held", ["report.html", "scores.csv", "pictures/cat.png"])
def test_files_in_the_place_of_a_studys_are_left_alone(values: dict[str, Any], here: Here, tmp_path: Path, held: str) -> None:
    (file := tmp_path / "mine" / held).parent.mkdir(parents=True)
    file.write_text("mine")
    with pytest.raises(InputError, match=re.escape(f"has no study in it, but {held!r}, which one would replace")):
        list(study(Plan(**values), tmp_path / "mine", here))
    assert file.read_text() == "mine" and not (tmp_path / "mine" / "study.db").exists()


def test_scores_of_a_version_that_meant_something_else_are_made_anew(
    values: dict[str, Any], here: Here, finished: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(finished, tmp_path / "copy"))
    with closing(sqlite3.connect(copy / "study.db")) as database, database:
        database.execute("DROP TABLE scored")  # as in the folder of an earlier version
        database.execute("UPDATE scores SET value = 99")
    events = list(study(Plan(**values), copy, here))
    assert not any(isinstance(one, Drawn) for one in events) and any(isinstance(one, Scored) for one in events)
    assert events[-1].verdicts == list(study(Plan(**values), finished, here))[-1].verdicts


def test_a_lost_database_does_not_take_the_pictures_along(
    values: dict[str, Any], here: Here, finished: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(finished, tmp_path / "copy"))
    before = sorted((copy / "pictures").iterdir())
    (copy / "study.db").write_bytes(b"")
    with pytest.raises(InputError, match="has no study in it, but"):
        list(study(Plan(**values), copy, here))
    assert sorted((copy / "pictures").iterdir()) == before != []


def test_a_measure_that_lacks_what_it_needs_is_said_before_a_plan_is_begun(
    values: dict[str, Any], here: Here, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="weights: '/no/such/weights' cannot be read"):
        next(study(Plan(**values | {"measures": ["contrast", "clip_kept:/no/such/weights"]}), tmp_path / "new", here))
    assert not (tmp_path / "new").exists()


def test_a_picture_that_means_nothing_is_a_failure(values: dict[str, Any], here: Here, tmp_path: Path) -> None:
    def broken(recipes: Sequence[Recipe]) -> Iterator[Made]:
        for made in here(recipes):
            lost = recipes[made.index].negative and recipes[made.index].seed == 1 and made.receipt
            yield replace(made, receipt=replace(made.receipt, notices=(OUT_OF_RANGE,))) if lost else made

    events = list(study(Plan(**values), tmp_path, broken))
    assert [one.failure.sentence for one in events if isinstance(one, Failed)] == [OUT_OF_RANGE]
    contrast = next(one for one in events[-1].verdicts if one.measure == "contrast" and one.difference)
    assert contrast.difference.n == SEEDS - 1
    page = html.unescape((tmp_path / "report.html").read_text())
    assert f"With {SEEDS - 1} seeds" in page and f'<td class="number">{SEEDS - 1}</td>' in page


def test_arms_beside_each_other_are_held_to_what_none_of_them_names(tmp_path: Path) -> None:
    """Both negatives change the same pictures in the same way, and one of them names what changed."""

    def paints(recipes: Sequence[Recipe]) -> Iterator[Made]:
        for index, recipe in enumerate(recipes):
            rng, bare = np.random.default_rng(recipe.seed), bool(recipe.negative)
            image, _ = negativa.terrarium.paint(rng, man=True, photo=True, glasses=True, hat=not bare, beard=not bare)
            yield Made(index, image, Receipt(recipe, rows_asked=20, rows_run=10, seconds=0.0))

    *_, last = study(Plan("portrait of a man", "0:4", ["", "hat", "beard"], measures="kept"), tmp_path, paints)
    assert isinstance(last, Finished)
    hat, beard = (one.estimate for one in last.verdicts)
    assert hat is not None and hat == beard and hat.value > 0.97


def test_where_a_picture_is_missing_the_others_are_still_paired_by_seed(
    finished: Path, values: dict[str, Any], here: Here, tmp_path: Path
) -> None:
    def lossy(recipes: Sequence[Recipe]) -> Iterator[Made]:
        for made in here(recipes):
            lost = recipes[made.index].negative and recipes[made.index].seed == 1
            yield Made(made.index, None, None, "the machine went away") if lost else made

    *_, last = study(Plan(**values), tmp_path, lossy)
    assert isinstance(last, Finished)
    found = {
        (row["arm"], row["seed"]): float(row["value"])
        for row in rows_of(tmp_path / "scores.csv")
        if row["measure"] == "contrast"
    }
    assert len(found) == 2 * SEEDS - 1
    differences = [found["not “mustache”", str(seed)] - found["no negative", str(seed)] for seed in (0, 2, 3, 4)]
    contrast = next(one for one in last.verdicts if one.measure == "contrast" and one.difference)
    assert contrast.difference is not None and contrast.difference.n == SEEDS - 1
    assert contrast.difference.value == pytest.approx(np.mean(differences))
    shots: dict[str, list[Shot]] = {"no negative": [], "not “mustache”": []}
    for row in rows_of(tmp_path / "scores.csv"):
        if row["measure"] == "contrast" and row["seed"] != "1":
            image = Image.open(tmp_path / "pictures" / f"{row['picture']}.png").convert("RGB")
            shots[row["arm"]].append(Shot(image, Recipe(model="other")))
    before, after = (build("spread").score(some)[0] for some in shots.values())
    spread = next(one for one in last.verdicts if one.measure == "spread" and one.difference)
    assert spread.difference is not None and spread.difference.n == SEEDS - 1
    assert spread.difference.value == pytest.approx(after - before)
    assert "the machine went away" in (tmp_path / "report.html").read_text()
    list(study(Plan(**values), tmp_path, here))
    assert contents(tmp_path) == contents(finished)


def test_pictures_that_a_negative_leaves_as_they_were_are_as_far_from_paintings(here: Here, tmp_path: Path) -> None:
    """Each arm's own number is held to paintings of what it asks for, with a mustache or without: those are not compared."""
    plan = Plan("portrait of a man", "0:3", ["", "mustache"], scales=1, steps=2, measures=["distance"])
    *_, last = study(plan, tmp_path, here)
    assert isinstance(last, Finished)
    before, after = last.verdicts
    assert before.estimate is not None and after.estimate is not None and after.difference is not None
    assert before.estimate.value != after.estimate.value
    assert (after.difference.value, after.word) == (0, "not told apart")


def test_a_folder_of_an_earlier_version_is_gone_on_from(
    finished: Path, values: dict[str, Any], here: Here, tmp_path: Path
) -> None:
    before, old = contents(finished), tmp_path / "old"
    shutil.copytree(finished, old)
    with sqlite3.connect(old / "study.db") as database:
        database.execute("DROP TABLE alike")
    database.close()
    counting = Counting(here)
    list(study(Plan(**values), old, counting))
    assert counting.asked == [] and contents(old) == before


def test_dollars_in_a_label_stay_what_they_are() -> None:
    estimate = Estimate(1.0, 0.5, 1.5, 4)
    drawn = chart([Verdict("not “$5 and $10_$”", "contrast", None, estimate, None, 2.0)], "levels")
    assert "$5 and $10_$" in drawn


def test_arms_of_a_seed_are_made_side_by_side_and_share_rows(finished: Path) -> None:
    with sqlite3.connect(finished / "study.db") as database:
        asked, run = database.execute("SELECT sum(rows_asked), sum(rows_run) FROM pictures").fetchone()
    database.close()
    assert asked == 2 * SEEDS * 4 and run == asked - SEEDS  # the first step's prediction of the prompt


def test_what_is_finished_is_not_done_again(finished: Path, values: dict[str, Any], here: Here) -> None:
    before = contents(finished)
    counting = Counting(here)
    events = list(study(Plan(**values), finished, counting))
    assert counting.asked == [] and events[0] == Begun(2 * SEEDS, 2 * SEEDS)
    assert [type(event) for event in events] == [Begun, Finished]
    assert contents(finished) == before


def test_a_study_that_was_left_goes_on_where_it_was(finished: Path, values: dict[str, Any], here: Here, tmp_path: Path) -> None:
    events = study(Plan(**values), tmp_path / "out", here)
    drawn = [event for event in (next(events) for _ in range(4)) if isinstance(event, Drawn)]
    events.close()
    assert check(tmp_path / "out") == len(drawn) == 3
    counting = Counting(here)
    rest = list(study(Plan(**values), tmp_path / "out", counting))
    assert rest[0] == Begun(2 * SEEDS, 3) and len(counting.asked) == 2 * SEEDS - 3
    seeds = [recipe.seed for recipe in counting.asked]
    assert seeds == sorted(seeds)  # all arms of a seed, then the next
    assert contents(tmp_path / "out") == contents(finished)


@pytest.mark.parametrize("harm", ["flip", "cut", "gone", "swap"])
def test_a_damaged_picture_is_said_and_made_again(
    harm: str, finished: Path, values: dict[str, Any], here: Here, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    list(study(Plan(**values), out, here))
    victim, other = sorted((out / "pictures").iterdir())[:2]
    data = bytearray(victim.read_bytes())
    if harm == "gone":
        victim.unlink()
    else:
        data[len(data) // 2] ^= 1
        victim.write_bytes({"flip": data, "cut": data[:-20], "swap": other.read_bytes()}[harm])
    counting = Counting(here)
    events = list(study(Plan(**values), out, counting))
    told = [event.picture.hash for event in events if isinstance(event, Damaged)]
    assert told == [victim.stem] and len(counting.asked) == 1
    assert contents(out) == contents(finished)


def test_what_cannot_be_made_or_scored_is_kept_and_shown(values: dict[str, Any], here: Here, tmp_path: Path) -> None:
    changed = values | {"models": [values["models"], "absent"], "width": 32, "height": 32}
    changed["measures"] = ["contrast", "presence:mustache"]  # which knows terrarium's pictures only
    events = list(study(Plan(**changed), tmp_path / "out", here))
    failures = [event.failure for event in events if isinstance(event, Failed)]
    assert len([failure for failure in failures if failure.seed is not None]) == 2 * SEEDS
    assert any(failure.sentence.startswith("presence:mustache: ") and failure.seed is None for failure in failures)
    page = html.unescape((tmp_path / "out" / "report.html").read_text())
    for failure in failures:
        assert failure.sentence in page and failure.arm in page
    again = [event.failure for event in study(Plan(**changed), tmp_path / "out", here) if isinstance(event, Failed)]
    assert again == failures  # tried again, not told twice
    page = html.unescape((tmp_path / "out" / "report.html").read_text())
    assert page.count("there is no model") + page.count("absent") >= 1
    with pytest.raises(ModelError, match="no picture could be made: "):
        list(study(Plan(**(values | {"models": "absent"})), tmp_path / "none", here))


def test_the_report_needs_nothing_beside_it(values: dict[str, Any], here: Here, tmp_path: Path) -> None:
    changed = values | {"title": "<script>x</script>", "claim": "a & b", "scales": [1, 3], "measures": ["contrast", "kept"]}
    *_, last = study(Plan(**changed), tmp_path / "out", here)
    assert isinstance(last, Finished) and last.report == tmp_path / "out" / "report.html"
    page = last.report.read_text()
    assert "<script" not in page and "&lt;script&gt;" in page and "a &amp; b" in page
    links = re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?([^"')\s>]+)""", page)
    assert links and all(link.startswith(("data:", "#")) for link in links)
    assert page.count("data:image/jpeg;base64,") == 4 * SEEDS and page.count("<svg") == 2
    assert "prefers-color-scheme: dark" in page
    said = html.unescape(page)
    for text in ("p, Holm", "rows asked", "95 % interval", f"with {SEEDS} seeds", "at scale 1 the picture follows", "torch"):
        assert text.lower() in said.lower(), text
    kept = {one.arm: one.estimate.value for one in last.verdicts if one.measure == "kept" and one.estimate}
    assert kept["not “mustache”, scale 1"] == 1 > kept["not “mustache”, scale 3"]  # at scale 1 the negative does not act
    assert len(kept) == 2 and len(last.verdicts) == 6


def test_parquet_says_what_csv_says(finished: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(finished / "scores.parquet").to_pylist()
    assert [{k: "" if v is None else str(v) for k, v in row.items()} for row in table] == rows_of(finished / "scores.csv")


# --- what a study refuses


def test_a_plan_without_a_picture_gives_way_to_another(values: dict[str, Any], here: Here, tmp_path: Path) -> None:
    """As after a model whose name was misspelt."""
    with pytest.raises(negativa.ModelError, match="there is no 'terarium'"):
        list(study(Plan(**(values | {"models": ["terarium"]})), tmp_path, here))
    with pytest.raises(negativa.ModelError, match="there is no 'terrariun'"):
        list(study(Plan(**(values | {"models": ["terrariun"]})), tmp_path, here))


def test_a_folder_holds_one_plan(finished: Path, values: dict[str, Any], here: Here, tmp_path: Path) -> None:
    before = contents(finished)
    with pytest.raises(InputError, match="holds the study of another plan"):
        list(study(Plan(**(values | {"seeds": "0:6"})), finished, here))
    assert contents(finished) == before
    (tmp_path / "study.db").write_text("no database at all, only words. " * 99)
    with pytest.raises(InputError, match=r"study\.db in .* is no database; allowed: a new folder"):
        list(study(Plan(**values), tmp_path, here))
    (tmp_path / "other").mkdir()
    with sqlite3.connect(tmp_path / "other" / "study.db") as database:
        database.execute("CREATE TABLE pupils (name)")
    database.close()
    with pytest.raises(InputError, match=r"study\.db in .* is another program's; allowed: a new folder"):
        list(study(Plan(**values), tmp_path / "other", here))
    for file in (tmp_path / "study.db", tmp_path / "study.db" / "x"):
        with pytest.raises(
            negativa.OutputError, match=re.escape(f"out: {str(file)!r} cannot be the folder of a study")
        ) as said:
            list(study(Plan(**values), file, here))
        assert str(said.value).endswith("allowed: a new folder")


def test_a_damaged_study_is_not_told_to_be_run_again(
    finished: Path, values: dict[str, Any], here: Here, tmp_path: Path
) -> None:
    allowed = r"study\.db in .* is damaged: .*; allowed: a new folder, or a whole copy of study\.db in its place"
    whole = (finished / "study.db").read_bytes()
    (tmp_path / "study.db").write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    with pytest.raises(InputError, match=allowed):
        list(study(Plan(**values), tmp_path, here))
    (tmp_path / "study.db").write_bytes(whole)
    with sqlite3.connect(tmp_path / "study.db") as database:
        database.execute("DROP TABLE pictures")
    database.close()
    with pytest.raises(InputError, match=allowed):
        list(study(Plan(**values), tmp_path, here))


def test_a_study_is_run_by_one_at_a_time(values: dict[str, Any], here: Here, tmp_path: Path) -> None:
    first = study(Plan(**values), tmp_path, here)
    next(first)
    with pytest.raises(InputError, match="is being run by another"):
        next(study(Plan(**values), tmp_path, here))
    first.close()
    assert next(study(Plan(**values), tmp_path, here)) == Begun(2 * SEEDS, 0)


def test_a_study_is_not_finished_in_another_dtype(values: dict[str, Any], here: Here, tmp_path: Path) -> None:
    events = study(Plan(**values), tmp_path, here)
    assert isinstance([next(events), next(events)][1], Drawn)
    events.close()
    with pytest.raises(InputError, match="dtype: this study's pictures were made with float32, now bfloat16"):
        list(study(Plan(**values), tmp_path, Here(device="cpu", dtype="bfloat16", reproducible=True)))
    assert check(tmp_path) == 1


def test_a_study_is_not_finished_with_other_weights(values: dict[str, Any], folder: Path, tmp_path: Path) -> None:
    model, out = tmp_path / "model", tmp_path / "out"
    shutil.copytree(folder, model)
    changed = values | {"models": str(model)}
    events = study(Plan(**changed), out, Here(device="cpu", reproducible=True))
    assert isinstance([next(events), next(events)][1], Drawn)
    events.close()
    weights = next(model.glob("unet/*.safetensors"))
    save_file({name: tensor * 1.01 for name, tensor in load_file(weights).items()}, weights)
    with pytest.raises(InputError, match="model_hash: this study's pictures were made with"):
        list(study(Plan(**changed), out, Here(device="cpu", reproducible=True)))


def new_lora(file: Path, seed: int) -> None:
    lora_files.write(file, lora_files.of(tiny_pipeline("epsilon"), ["unet"], seed=seed))


def new_embedding(file: Path, seed: int) -> None:
    file.unlink(missing_ok=True)
    if seed < 2:
        save_file({"<wrong>": torch.full((2, 32), float(seed))}, file)


def new_weights(file: Path, seed: int) -> None:
    save_file({name: tensor * (1 + seed) for name, tensor in load_file(file).items()}, file)


EXCHANGED = {
    "loras": (new_lora, {"loras": ["a/x.safetensors"]}, "of 'a/x.safetensors'"),
    "embeddings": (new_embedding, {"prompt": "<wrong>", "embeddings": ["a/x.safetensors"]}, "of 'wrong in a/x.safetensors'"),
    "embeddings gone": (new_embedding, {"prompt": "<wrong>", "embeddings": ["a"]}, "of '<wrong> | man in a', now no embedding"),
    "model_hash": (new_weights, {"rule": "autoguidance", "weaker": "a/weaker"}, "of 'a/weaker'"),
    "adapters": (new_weights, {"model": "a/shown", "images": [{"image": "a/x.png"}]}, "of 'base'"),
}


@pytest.mark.parametrize("case", EXCHANGED)
def test_a_study_is_not_finished_with_another_file_of_the_same_name(
    case: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two arms use it, and only one of them has a picture when it is exchanged."""
    exchange, own, said = EXCHANGED[case]
    monkeypatch.chdir(tmp_path)
    file = Path("a/x.safetensors")
    file.parent.mkdir()
    if case == "model_hash":
        shutil.copytree(folder, "a/weaker")
        file = next(Path("a/weaker/unet").glob("*.safetensors"))
    elif case == "adapters":
        shutil.copytree(Path(negativa.terrarium.__file__).parent / "weights", "a/shown")
        Image.new("RGB", (64, 64), "teal").save("a/x.png")
        file = Path("a/shown/ip_adapter/base.safetensors")
    exchange(file, 0)
    own = {"rule": "cfg", "prompt": "hat", "model": str(folder)} | own
    arms = [{"label": "first", **own}, {"label": "second", **own, "window": [0, 0.5]}]
    axes = {"prompts": ["hat", "<wrong>"], "rules": ["cfg", "autoguidance"], "models": [str(folder), "a/shown"]}
    plan = Plan(**axes, seeds="0:3", steps=1, width=32, height=32, handmade=[{**arm, "negative": "man"} for arm in arms])
    events = study(plan, "out", Here(device="cpu"))
    assert any(isinstance(event, Drawn) and event.picture.arm == "first" for event in events)
    events.close()
    before, there = file.read_bytes(), check(Path("out"))

    exchange(file, 2 if case.endswith("gone") else 1)
    field, said = case.removesuffix(" gone"), re.escape(said)
    with pytest.raises(InputError, match=f"{field}: this study's pictures were made with .*{said}.*; allowed: .* a new folder"):
        list(study(plan, "out", Here(device="cpu")))

    file.write_bytes(before)
    made = [one.picture for one in study(plan, "out", Here(device="cpu")) if isinstance(one, Drawn)]
    assert {(one.arm, one.seed) for one in made} >= {("second", 2), ("first", 2)} and len(made) + there <= check(Path("out"))


# --- interruptions, on the command line


def command(plan: Path, out: Path) -> list[str]:
    return [sys.executable, "-m", "negativa", "study", str(plan), "--out", str(out), "--reproducible", "--device", "cpu"]


def test_killed_at_random_moments_it_comes_to_the_same_end(finished: Path, values: dict[str, Any], tmp_path: Path) -> None:
    plan, out, chance = plan_in(tmp_path, **values), tmp_path / "out", random.Random(4)
    there = 0
    for _ in range(4):
        wanted = there + chance.randint(0, 2)
        with subprocess.Popen(command(plan, out), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            while process.poll() is None and (not out.exists() or len(list(out.glob("pictures/*.png"))) <= wanted):
                time.sleep(0.001)
            time.sleep(chance.random() * 0.02)
            process.send_signal(signal.SIGKILL)
        now = check(out)
        assert now >= there
        there = now
    assert there > 0
    last = subprocess.run([*command(plan, out), "--watch"], capture_output=True, text=True, check=False)
    assert last.returncode == 0, last.stderr
    assert f"{2 * SEEDS} pictures, {there} of them there already" in last.stderr
    assert last.stdout.splitlines()[-1] == str(out / "report.html") and "contrast" in last.stdout
    assert contents(out) == contents(finished)


def test_ctrl_c_says_that_it_can_go_on(values: dict[str, Any], tmp_path: Path) -> None:
    plan, out = plan_in(tmp_path, **values | {"seeds": "0:500"}), tmp_path / "out"
    words = ["env", "--default-signal=INT", *command(plan, out), "--watch"]
    with subprocess.Popen(words, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        while process.poll() is None and not list(out.glob("pictures/*.png")):
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=120)
    assert process.returncode == 130 and "Traceback" not in said
    assert f"interrupted; what is finished is kept in {str(out)!r}, run the study again to go on" in said


@pytest.mark.parametrize("limit", [500, 120_000])
def test_a_full_disk_is_said_and_what_is_finished_is_kept(
    limit: int, values: dict[str, Any], here: Here, tmp_path: Path
) -> None:
    """A limit on the size of files stands in for the disk: the kernel refuses the write, halfway."""
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n"
        "sys.argv = ['negativa', *sys.argv[1:]]\n"
        "from negativa.apps.cli.main import main; main()"
    )
    plan, out = plan_in(tmp_path, **values), tmp_path / "out"
    words = [sys.executable, "-c", code, *command(plan, out)[3:]]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env={**os.environ, "MPLCONFIGDIR": str(tmp_path)})
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "could not be used" in done.stderr and "run the study again to go on" in done.stderr
    kept = check(out) if limit > 500 else 0
    assert kept > 0 or limit == 500
    assert not list(out.glob("**/.negativa-*"))
    first, *_ = study(Plan(**values), out, here)
    assert first == Begun(2 * SEEDS, kept) and check(out) == 2 * SEEDS
