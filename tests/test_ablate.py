"""Ablations: the terms that matter are found, by the numbers one gets by hand, and nothing is made twice."""

from __future__ import annotations

import csv
import math
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from scipy.stats import binomtest, t
from typer.testing import CliRunner

import negativa
from negativa import InputError, Negative, Receipt, Recipe
from negativa.apps.cli.main import app
from negativa.experiments import ablate
from negativa.experiments.ablation import Begun, Finding, Report
from negativa.experiments.bars import write_report
from negativa.experiments.making import Here, Made
from negativa.experiments.shelf import Drawn
from negativa.experiments.terms import lay_ablation
from negativa.measures import Measure, Shot, build
from negativa.terrarium.painter import CLEAN

NONSENSE = ("zib", "quon", "blarf", "wex", "plint", "mosk", "drube", "yarn", "fleep", "sond")
TWELVE = (*NONSENSE[:3], "first", *NONSENSE[3:7], "second", *NONSENSE[7:])
SEEDS = tuple(range(16))
PLAIN = {"photo": True, **CLEAN}  # so that the reader makes no mistakes
Shaves = Callable[[set[str], int], bool]  # do these terms, with this seed, take the mustache away?


class Painter:
    """Makes pictures by painting them: what is in them follows from the terms by a rule that the test knows."""

    def __init__(self, shaves: Shaves) -> None:
        self.shaves, self.asked = shaves, list[Recipe]()

    def __call__(self, recipes: Sequence[Recipe]) -> Iterator[Made]:
        for index, recipe in enumerate(recipes):
            self.asked.append(recipe)
            terms = set(recipe.negative[0].condition.split(", ")) if recipe.negative else set()
            mustache = not self.shaves(terms, recipe.seed)
            rng = np.random.default_rng(recipe.seed)
            image, _ = negativa.terrarium.paint(rng, "portrait", man=True, beard=False, mustache=mustache, **PLAIN)
            complete = recipe.replace(model="terrarium", width=128, height=128)
            yield Made(index, image, Receipt(complete, rows_asked=20, rows_run=10, seconds=0.0))


def run(painter: Painter, negative: str, seeds=SEEDS, minimise=False) -> tuple[Begun, list[Drawn], Report]:
    begun, *drawn, report = ablate("portrait of a man", negative, ["presence:mustache"], seeds, minimise, painter)
    assert isinstance(begun, Begun) and isinstance(report, Report)
    return begun, drawn, report


def found(report: Report, kind: str, term: str = "") -> Finding:
    (one,) = (one for one in report.findings if (one.kind, one.term) == (kind, term))
    return one


def test_two_terms_of_twelve_are_found_with_the_numbers_one_gets_by_hand() -> None:
    """ "first" works on even seeds, "second" on odd ones: each alone does half, and half is lost without it."""
    painter = Painter(lambda terms, seed: ("second" if seed % 2 else "first") in terms)
    begun, drawn, report = run(painter, ", ".join(TWELVE), minimise=True)

    assert report.shortest == "first, second"
    assert begun.pictures == (2 * 12 + 2) * 16 and begun.more == (4 + 12) * 16
    assert len(painter.asked) == len(set(painter.asked)) == len(drawn) == report.pictures
    assert report.pictures == begun.pictures + 3 * 16  # the strongest six, three and two together
    assert report.rows_asked == 20 * report.pictures and report.rows_run == 10 * report.pictures
    assert report.seeds == SEEDS and "16 seeds" in report.power

    assert [found(report, kind).estimate.value for kind in ("none", "whole", "shortest")] == [1, 0, 0]
    for term in TWELVE:
        share = 0.5 if term in ("first", "second") else 0
        alone, without = found(report, "alone", term), found(report, "without", term)
        assert (alone.estimate.value, without.estimate.value) == (1 - share, share)
        for one, against, change in ((alone, "none", -share), (without, "whole", share)):
            assert one.difference is not None and one.corrected is not None
            assert one.difference.value == change and one.against == against and one.rows == 20
            assert one.difference.p == pytest.approx(2 * 0.5**8 if share else 1)
            assert one.corrected == pytest.approx(min(1, 24 * 2 * 0.5**8) if share else 1)  # the whole's p comes first
    whole = found(report, "whole").difference
    assert whole is not None and whole.p == pytest.approx(binomtest(0, 16).pvalue)


def test_terrariums_own_planted_term_is_found_among_nonsense() -> None:
    """Men that have a mustache to lose: "mustache" takes it away, words that mean nothing do so less often."""
    make, base, nonsense = Here(), Recipe("portrait of a man", steps=16), NONSENSE[:4]
    plain = {made.index: made.image for made in make([base.replace(seed=seed) for seed in range(20)])}
    seeds = [seed for seed in range(20) if negativa.terrarium.read(plain[seed])["mustache"] > 0.5][:8]
    negative = ", ".join((*nonsense[:2], "mustache", *nonsense[2:]))
    *_, report = ablate(base, negative, ["presence:mustache"], seeds, minimise=True, make=make)
    assert isinstance(report, Report)
    assert found(report, "none").estimate.value == 1 and found(report, "whole").estimate.value < 0.5
    left = {one.term: one.estimate.value for one in report.findings if one.kind == "alone"}
    assert len(left) == 5 and left["mustache"] < min(left[term] for term in nonsense)
    assert report.shortest and "mustache" in report.shortest.split(", ")


@pytest.mark.parametrize(
    ("shaves", "shortest", "extra"),  # by hand: the arms that halving and pruning ask for beyond the fourteen there are
    [
        (lambda terms, seed: {"first", "second"} <= terms, "first, second", 2),  # only together: ranked by what is lost
        (lambda terms, seed: bool(terms & {"first", "second"}), "first", 1),  # either will do
        (lambda terms, seed: "second" in terms, "second", 1),
        (lambda terms, seed: bool(terms & {"first", "second"}) if seed < 7 else "wex" in terms, "first, wex", 3),
        (lambda terms, seed: len(terms) >= 5, "zib, first, wex, second, mosk", 6),
        (lambda terms, seed: False, "", 0),
        (lambda terms, seed: True, "", 0),
        (lambda terms, seed: "first" in terms and seed < 5, "", 0),  # five pairs that differ are p = 1/16
        (lambda terms, seed: "first" in terms and seed < 6, "first", 1),  # six are p = 1/32
    ],
)
def test_the_shortest_negative_does_what_the_whole_does_at_its_cost(shaves: Shaves, shortest: str, extra: int) -> None:
    painter = Painter(shaves)
    begun, _, report = run(painter, "zib, first, wex, second, mosk, drube", SEEDS[:13], minimise=True)
    assert report.shortest == shortest
    assert report.pictures == begun.pictures + extra * 13 <= begun.pictures + begun.more
    assert len(painter.asked) == len(set(painter.asked))


def test_without_a_search_there_is_none() -> None:
    painter = Painter(lambda terms, seed: "first" in terms)
    begun, drawn, report = run(painter, "first, second")
    assert (begun.pictures, begun.more, len(drawn), report.shortest) == (4 * 16, 0, 4 * 16, None)
    assert all(one.kind != "shortest" for one in report.findings)


def test_terms_are_one_text_in_their_order_and_empty_or_repeated_ones_are_said_and_merged() -> None:
    plan, notices = lay_ablation("a house", " snow ,, lawn,snow, Lawn ,green  grass,", (1, 2))
    assert plan.terms == ("snow", "lawn", "green grass")
    assert [recipe.negative[0].condition for recipe in (plan.at(plan.terms, 1), plan.at(plan.without("lawn"), 1))] == [
        "snow, lawn, green grass",
        "snow, green grass",
    ]
    assert notices == (
        "negative: 2 empty terms left out",
        "negative: 'snow' was given 2 times; it is taken once",
        "negative: 'lawn' was given 2 times; it is taken once",
    )
    assert set(plan.arms) == {(), plan.terms, *((term,) for term in plan.terms), *map(plan.without, plan.terms)}
    assert plan.pictures == len({plan.at(arm, seed) for arm in plan.arms for seed in plan.seeds}) == 8 * 2


@pytest.mark.parametrize(
    ("negative", "terms"),
    [
        ("(ugly, hat:1.5), beard", ("(ugly, hat:1.5)", "beard")),
        ("[ugly, hat:0.5], ((a, b), c), d", ("[ugly, hat:0.5]", "((a, b), c)", "d")),
        (r"a \(b, c\), d", (r"a \(b", r"c\)", "d")),
        ("a), (b, c", ("a)", "(b", "c")),
        (Negative("ugly, hat", 0.5, 0.2, 0.8), ("ugly", "hat")),
    ],
)
def test_brackets_stay_whole_and_every_arm_has_the_weight_of_the_whole(negative, terms: tuple[str, ...]) -> None:
    plan, notices = lay_ablation("a house", negative, (1, 2))
    assert plan.terms == terms
    whole = negative if isinstance(negative, Negative) else Negative(negative)
    for arm in plan.arms:
        said = plan.at(arm, 1).negative
        assert said == ((Negative(", ".join(arm), whole.weight, whole.start, whole.stop),) if arm else ())
    assert notices == (("negative: every arm has it with weight 0.5, from 0.2 to 0.8",) if whole.weight != 1 else ())


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"negative": "snow, lawn:0.5"}, "negative: 'snow, lawn:0.5' has AND, or a weight at its end"),
        ({"negative": "snow, lawn AND tree"}, "negative: 'snow, lawn AND tree' has AND, or a weight"),
        ({"negative": " , "}, "negative: ' , ' was given; allowed: terms with commas between"),
        ({"measures": []}, "measure: none was given"),
        ({"measures": ["kept", "kept"]}, "measure: 'kept' was given twice"),
        ({"measures": ["kepd"]}, "did you mean 'kept'"),
        ({"measures": ["sharpness", "presence:hat@/no/such/weights"]}, "weights: '/no/such/weights' cannot be read"),
        ({"measures": ["sharpness", "presence:hat@vqa=/no/such/weights"]}, "weights: '/no/such/weights' cannot be read"),
        ({"measures": ["sharpness", "clip_kept:/no/such/weights"]}, "weights: '/no/such/weights' cannot be read"),
        ({"measures": ["sharpness", "clip_iqa:/no/such/weights"]}, "weights: '/no/such/weights' cannot be read"),
        ({"measures": ["sharpness", "obedience:/no/such/weights"]}, "weights: '/no/such/weights' cannot be read"),
        ({"measures": ["variety"], "minimise": True}, "minimise: variety has one number for all seeds"),
        ({"seeds": (1,)}, "seeds: 1 given; allowed: two or more"),
        ({"seeds": (1, 1)}, "seed: 1 was given twice"),
        ({"prompt": Recipe("a house", "snow")}, "negative: the recipe has one already"),
        ({"prompt": Recipe("a house", model="terarium")}, "model: there is no 'terarium'"),
    ],
)
def test_what_cannot_be_done_is_refused_before_any_work(change: dict, sentence: str) -> None:
    settings = {"prompt": "a house", "negative": "snow, lawn", "measures": ["kept"], "seeds": (1, 2)}
    with pytest.raises(negativa.NegativaError, match=re.escape(sentence)):
        ablate(**settings | change)


def test_a_measure_over_pairs_compares_with_the_same_seed_without_a_negative() -> None:
    painter = Painter(lambda terms, seed: "first" in terms)
    *_, report = ablate("portrait of a man", "first, wex", ["kept"], SEEDS[:6], make=painter)
    assert isinstance(report, Report)
    assert [one.kind for one in report.findings] == ["none", "whole", "alone", "alone", "without", "without"]
    assert found(report, "none").estimate.value == 1
    alone, whole, without = found(report, "alone", "wex"), found(report, "whole"), found(report, "without", "first")
    assert alone.estimate.value == 1 and alone.difference is whole.difference is None, "which would only say: something changed"
    assert without.difference is not None and without.difference.n == 6 and without.corrected is not None


def test_of_a_single_term_there_is_one_comparison() -> None:
    _, _, report = run(Painter(lambda terms, seed: "first" in terms and seed % 4 > 0), "first")
    assert [one.corrected for one in report.findings[1:]] == [found(report, "whole").difference.p] * 3  # type: ignore[union-attr]
    assert "comparisons" not in report.power


def test_equal_pictures_keep_equally_much_whatever_their_arms_name() -> None:
    """Only the nonsense acts, and takes away what the other term names: all arms are held to what the whole does not name."""
    *_, report = ablate(
        "portrait of a man", "mustache, wex", ["kept"], SEEDS[:6], make=Painter(lambda terms, _: "wex" in terms)
    )
    assert isinstance(report, Report)
    alone, without = found(report, "alone", "wex"), found(report, "without", "mustache")
    assert alone.estimate == without.estimate == found(report, "whole").estimate
    assert without.difference is not None and without.difference.value == 0


def test_a_measure_over_whole_arms_has_the_jackknifes_interval() -> None:
    """Tukey's: the standard error is the root of (n - 1) / n times the sum of squares of what leaving one seed out gives."""
    painter = Painter(lambda terms, seed: "first" in terms)
    *events, report = ablate("portrait of a man", "first, wex", ["variety"], SEEDS[:6], make=painter)
    assert isinstance(report, Report)

    def shots(terms: tuple[str, ...]) -> list[Shot]:
        made = {one.seed: one.made for one in events if isinstance(one, Drawn) and one.terms == terms}
        return [Shot(made[seed].image, made[seed].receipt.recipe) for seed in SEEDS[:6]]

    def error(values: np.ndarray) -> float:
        return float(np.sqrt(5 / 6 * ((values - values.mean()) ** 2).sum()))

    def left_out(terms: tuple[str, ...]) -> np.ndarray:
        every = shots(terms)
        return np.array([score([*every[:i], *every[i + 1 :]])[0] for i in range(6)])

    score, whole = build("variety").score, ("first", "wex")
    estimate, change = found(report, "whole").estimate, found(report, "whole").difference
    value, before = score(shots(whole))[0], score(shots(()))[0]
    assert change is not None and estimate.value == pytest.approx(value) and change.value == pytest.approx(value - before)
    reach, apart = t.ppf(0.975, 5) * error(left_out(whole)), t.ppf(0.975, 5) * error(left_out(whole) - left_out(()))
    assert (estimate.low, estimate.high) == pytest.approx((value - reach, value + reach))
    assert (change.low, change.high) == pytest.approx((value - before - apart, value - before + apart))


def test_two_seeds_give_a_number_of_a_whole_arm_and_no_interval(tmp_path: Path) -> None:
    painter = Painter(lambda terms, seed: "first" in terms)
    *events, report = ablate("portrait of a man", "first, wex", ["variety"], SEEDS[:2], make=painter)
    assert isinstance(report, Report) and not report.failures
    two = [one.made for one in events if isinstance(one, Drawn) and one.terms == ("first", "wex")]
    value = build("variety").score([Shot(made.image, made.receipt.recipe) for made in two])[0]
    estimate, change = found(report, "whole").estimate, found(report, "whole").difference
    assert estimate.value == pytest.approx(value) and estimate.n == 2 and math.isnan(estimate.low)
    assert change is not None and change.p == 1 and math.isnan(change.high)
    assert all(file.stat().st_size for file in write_report(tmp_path, report))


@dataclass(frozen=True)
class Sixes(Measure):
    """Cannot tell of seed 3 or, of a whole arm, without seed 4; else six for a negative, of an arm for a picture that moved."""

    name: ClassVar = "sixes"
    unit: ClassVar = "sixes"
    better: ClassVar = "more"
    whole: str = ""

    @property
    def over(self) -> str:
        return "arm" if self.whole else "picture"

    def score(self, shots: Sequence[Shot]) -> list[float]:
        sixes = 6.0 * sum(shot.before is not None and shot.image.tobytes() != shot.before.tobytes() for shot in shots)
        if self.whole:
            return [sixes if any(shot.recipe.seed == 4 for shot in shots) else math.inf]
        return [math.nan if shot.recipe.seed == 3 else 6.0 * bool(shot.recipe.negative) + shot.recipe.seed for shot in shots]


def test_scores_that_are_no_numbers_count_for_nothing() -> None:
    painter = Painter(lambda terms, seed: "first" in terms)
    *_, report = ablate("portrait of a man", "first, wex", [Sixes(), Sixes("whole")], SEEDS, make=painter)
    assert isinstance(report, Report) and not report.failures
    (one, arm) = (finding for finding in report.findings if finding.kind == "whole")
    assert one.difference is not None and (one.difference.value, one.difference.n, one.estimate.n) == (6, 15, 15)
    assert arm.difference is not None and arm.estimate.value == arm.difference.value == 6 * 16
    assert math.isnan(arm.estimate.low) and math.isnan(arm.difference.low) and arm.difference.p == 1


def test_a_seed_with_a_failed_picture_counts_for_no_arm() -> None:
    painter = Painter(lambda terms, seed: "first" in terms)

    def failing(recipes: Sequence[Recipe]) -> Iterator[Made]:
        for made in painter(recipes):
            lost = recipes[made.index] == Recipe("portrait of a man", "first", seed=3)
            yield Made(made.index, None, None, "its machine went away") if lost else made

    *_, report = ablate("portrait of a man", "first, wex", ["presence:mustache"], SEEDS, make=failing)
    assert isinstance(report, Report)
    assert report.seeds == (*SEEDS[:3], *SEEDS[4:]) and report.failures == ("its machine went away",)
    assert {one.estimate.n for one in report.findings} == {15}


def test_an_interrupted_ablation_reports_the_seeds_that_are_complete() -> None:
    painter = Painter(lambda terms, seed: "first" in terms)

    def stopping(recipes: Sequence[Recipe]) -> Iterator[Made]:
        for made in painter(recipes):
            if recipes[made.index].seed == 9:
                raise KeyboardInterrupt
            yield made

    events = []
    with pytest.raises(KeyboardInterrupt):
        for event in ablate("portrait of a man", "first, wex", ["presence:mustache"], SEEDS, make=stopping):
            events.append(event)
    report = events[-1]
    assert isinstance(report, Report)
    assert report.seeds == SEEDS[:9] and {one.estimate.n for one in report.findings} == {9}


def test_pictures_that_no_measure_can_score_end_it_early(folder: Path) -> None:
    recipe, drawn = Recipe("a house", steps=1, model=str(folder)), 0
    with pytest.raises(InputError, match="presence"):
        for _ in ablate(recipe, "snow, lawn, tree", ["presence:snow"], range(50)):
            drawn += 1
    assert drawn < 100


@pytest.mark.parametrize("measures", [["sharpness", "obedience"], ["obedience", "sharpness"]])
def test_what_one_measure_finds_is_kept_where_another_cannot_score(measures: list[str]) -> None:
    painter = Painter(lambda terms, seed: "first" in terms)
    *_, report = ablate("plint", "first, wex", measures, SEEDS[:6], minimise=True, make=painter)
    assert isinstance(report, Report)
    assert [one.measure for one in report.findings if one.kind != "shortest"] == ["sharpness"] * 6
    assert len(report.failures) == 1 and "the prompt 'plint' names nothing" in report.failures[0]
    assert (report.shortest is None) == (measures[0] == "obedience")


def test_a_report_is_written_as_a_table_and_as_charts(tmp_path: Path) -> None:
    painter = Painter(lambda terms, seed: ("second" if seed % 2 else "first") in terms)
    *_, report = ablate("a man", "zib, first, <$5> & $$, second", ["presence:mustache", "kept"], SEEDS, make=painter)
    assert isinstance(report, Report)
    files = write_report(tmp_path, report)
    assert sorted(file.name for file in files) == sorted(file.name for file in tmp_path.iterdir())
    assert {file.name for file in files} >= {"ablation.csv", "kept.png", "kept.svg"} and len(files) == 5
    with (tmp_path / "ablation.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * (2 + 2 * 4)
    (first,) = (row for row in rows if (row["measure"], row["kind"], row["term"]) == ("presence:mustache", "alone", "first"))
    assert (float(first["value"]), float(first["difference"]), int(first["n"])) == (0.5, -0.5, 16)
    drawn = (tmp_path / "presence-mustache.svg").read_text()
    assert drawn.startswith("<?xml") and (tmp_path / "presence-mustache.png").read_bytes().startswith(b"\x89PNG")


def test_the_command_says_its_cost_first_and_prints_and_keeps_everything(folder: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["ablate", "a house", "-n", "snow, lawn,, snow, tree, red", "--measure", "contrast", "--seeds", "3:6", "--minimise"]
    done = CliRunner().invoke(app, [*words, "--steps", "1", "--model", str(folder), "--out", "taken"])
    assert done.exit_code == 0, done.output
    assert done.output.startswith("30 pictures, then at most 18 to find a shortest negative")
    for sentence in ("1 empty term left out", "'snow' was given 2 times", "shortest that cannot be told", "of 3 seeds", "rows"):
        assert sentence in done.output
    assert {file.name for file in Path("taken").iterdir()} == {"ablation.csv", "contrast.png", "contrast.svg", "pictures"}
    recipes = [negativa.read(file).recipe for file in Path("taken/pictures").iterdir()]
    assert len(recipes) >= 30 and {recipe.seed for recipe in recipes} == {3, 4, 5}


def test_the_command_takes_negatives_as_generate_does(folder: Path, tmp_path: Path) -> None:
    words = ["ablate", "a house", "--measure", "contrast", "--seeds", "2", "--steps", "1", "--model", str(folder)]
    out = tmp_path / "out"
    done = CliRunner().invoke(app, [*words, "-n", "snow, lawn:0.5", "-n", "tree:0.5", "--out", str(out)])
    assert done.exit_code == 0, done.output
    recipes = [negativa.read(file).recipe for file in (out / "pictures").iterdir()]
    assert {recipe.negative for recipe in recipes} == {
        (),
        *((Negative(text, 0.5),) for text in ("snow", "lawn", "tree", "snow, lawn", "snow, tree", "lawn, tree")),
        (Negative("snow, lawn, tree", 0.5),),
    }
    with pytest.raises(InputError, match="'tree' was given beside 'snow:0"):
        CliRunner().invoke(app, [*words, "-n", "snow:0.5", "-n", "tree", "--out", f"{out}2"], catch_exceptions=False)


@pytest.mark.parametrize("drawn", [0, 1])
def test_ctrl_c_says_what_is_kept_and_how_to_go_on(drawn: int, folder: Path, tmp_path: Path) -> None:
    words = ["ablate", "a house", "-n", "snow", "--measure", "contrast", "--seeds", "900", "--model", str(folder)]
    words += ["--steps", "1" if drawn else "900", "--out", "out"]
    command = ["env", "--default-signal=INT", sys.executable, "-m", "negativa", *words]
    with subprocess.Popen(command, cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        said = process.stderr.readline()
        while drawn and not list(tmp_path.glob("out/pictures/*.png")) and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, left = process.communicate(timeout=120)
    assert process.returncode == 130 and said == "1800 pictures\n", said + left
    assert (tmp_path / "out").exists() == bool(drawn)
    kept = "what was finished is in out; to make all of it, run it again" if drawn else "nothing was finished; run it again"
    assert f"interrupted; {kept}" in left and "Traceback" not in left


@pytest.mark.parametrize("text", ["", "1", "3:4", "5:3", "a", "0:1000000", "-3:4", "1:2:3"])
def test_the_command_refuses_what_are_no_seeds(text: str, tmp_path: Path) -> None:
    words = ["ablate", "a house", "-n", "snow", "--measure", "contrast", "--seeds", text, "--out", str(tmp_path / "out")]
    with pytest.raises(InputError, match="seeds: "):
        CliRunner().invoke(app, words, catch_exceptions=False)
