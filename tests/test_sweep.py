"""Sweeps: any knob by its name, any number of axes, and bad ones refused before any work."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

import negativa
from negativa import InputError, Negative, Recipe
from negativa.apps.cli.main import app
from negativa.experiments import sweep
from negativa.experiments.axes import Axis, parse_axis
from negativa.experiments.making import Here
from negativa.experiments.sweeps import lay_sweep
from negativa.experiments.tables import Cell, Summary
from negativa.plain.samplers import SAMPLERS

BASE = Recipe("portrait of a man", "mustache")
AXES = {  # as written -> the recipes it stands for
    "scale=1,2,7.5": [BASE.replace(scale=scale) for scale in (1, 2, 7.5)],
    "negative=mustache|glasses, hat|": [BASE.replace(negative=text) for text in ("mustache", "glasses, hat", None)],
    "negative=hat,hat:0.5,hat:1:0.2:1": [BASE.replace(negative=Negative("hat", *w)) for w in ((), (0.5,), (1, 0.2))],
    "window=0:1, 0.2:0.5": [BASE.replace(window=window) for window in ((0, 1), (0.2, 0.5))],
    "negative-weight=0,0.5,-1": [BASE.replace(negative=Negative("mustache", weight)) for weight in (0, 0.5, -1)],
    "negative-stop=1,.5": [BASE.replace(negative=Negative("mustache", 1, 0, stop)) for stop in (1, 0.5)],
    "rule=cfg,none": [BASE, BASE.replace(rule="none")],
    "wrappers=|rescale": [BASE, BASE.replace(wrappers="rescale")],
    "knob:momentum=0,-0.5": [BASE.replace(knobs={"momentum": value}) for value in (0, -0.5)],
    "sampler=" + ",".join(SAMPLERS): [BASE.replace(sampler=name) for name in SAMPLERS],
    "steps=10,20": [BASE.replace(steps=steps) for steps in (10, 20)],
    "model=terrarium": [BASE.replace(model="terrarium")],
    "nothing=empty|zeros": [BASE.replace(nothing=kind) for kind in ("empty", "zeros")],
    "width=64,128": [BASE.replace(width=width) for width in (64, 128)],
    "prompt=a house|a man, smiling": [BASE.replace(prompt=text) for text in ("a house", "a man, smiling")],
    "prompt:man=man|woman": [BASE, BASE.replace(prompt="portrait of a woman")],
    "negative:mustache=mustache|hat": [BASE, BASE.replace(negative="hat")],
}


@pytest.mark.parametrize("written", AXES)
def test_an_axis_sets_its_knob_and_nothing_else(written: str) -> None:
    (table,) = lay_sweep(BASE, [written])
    assert list(table.recipes[0]) == AXES[written]
    assert len(set(table.columns)) == len(table.columns)


def test_every_field_of_a_recipe_is_an_axis(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "x.png")
    sound = {"prompt": "x", "negative": "x", "sampler": "euler", "rule": "none", "window": "0:0.5", "nothing": "zeros"}
    sound |= {"wrappers": "rescale", "syntax": "plain", "emphasis": "comfy", "images": str(tmp_path / "x.png")}
    for name in Recipe().to_dict().keys() - {"knobs"}:
        (table,) = lay_sweep(BASE, [f"{name}={sound.get(name, '64')}"])
        assert table.recipes[0][0].replace(**{name: getattr(BASE, name)}) == BASE


def test_every_combination_is_laid_out_two_axes_drawn_and_the_rest_paged() -> None:
    axes = ["scale=2,5,8", "negative=hat|", "rule=cfg,none", "steps=4,5"]
    tables = lay_sweep("a house", axes, seeds=(3, 4))
    assert len(tables) == len({table.name for table in tables}) == len({table.title for table in tables}) == 2 * 2 * 2
    found = [recipe for table in tables for row in table.recipes for recipe in row]
    expected = [
        Recipe("a house", negative, seed=seed, steps=steps, scale=scale, rule=rule)
        for seed, rule, steps, negative, scale in product((3, 4), ("cfg", "none"), (4, 5), ("hat", None), (2, 5, 8))
    ]
    assert found == expected
    assert tables[0].columns == ("scale 2", "scale 5", "scale 8") and tables[0].rows == ("negative hat", "negative none")
    assert tables[-1].title == "seed 4, rule none, steps 5"


def test_search_comes_after_whole_texts_and_weights_after_both() -> None:
    axes = ["negative-weight=0.5", "negative:hat=cap", "negative=hat|hat, scarf|"]
    tables = lay_sweep("a house", axes)
    assert [table.recipes[0][0].negative for table in tables] == [(Negative("cap", 0.5),), (Negative("cap, scarf", 0.5),), ()]


def test_prompt_and_negative_are_searched_separately() -> None:
    base = Recipe("a man in a hat", ("hat", Negative("a red hat", 0.5)))
    (prompts,) = lay_sweep(base, ["prompt:hat=hat|cap"])
    (negatives,) = lay_sweep(base, ["negative:hat=hat|cap"])
    assert prompts.recipes[0] == (base, base.replace(prompt="a man in a cap"))
    assert negatives.recipes[0] == (base, base.replace(negative=("cap", Negative("a red cap", 0.5))))


def test_seeds_may_be_an_axis() -> None:
    (table,) = lay_sweep(BASE, ["seed=1,18446744073709551615", "scale=2,3"])
    assert [[recipe.seed for recipe in row] for row in table.recipes] == [[1, 2**64 - 1]] * 2
    assert table.columns == ("seed 1", "seed 18446744073709551615")


BAD = {
    "guidance=1,2": "there is no axis 'guidance'; allowed: prompt, negative,",
    "scales=1,2": "there is no axis 'scales'; did you mean 'scale'?",
    "scale": "axis: 'scale' was given; allowed: NAME=VALUE,VALUE",
    "scale=1,,2": "scale: '' was given; allowed: numbers",
    "scale=nan": "scale: nan was given",
    "scale=1,1.0": "axis scale: '1' was given twice",
    "steps=2.5": "steps: '2.5' was given; allowed: whole numbers",
    "steps=0": "steps: 0 was given; allowed: a whole number from 1 to 1000",
    "rule=cfg,cfgg": "there is no rule 'cfgg'; did you mean 'cfg'?",
    "sampler=euler b": "there is no sampler 'euler b'",
    "window=0.2": "window: '0.2' was given; allowed: START:STOP",
    "window=0.5:0.2": "window start and stop: 0.5 and 0.2 were given",
    "nothing=none": "nothing: 'none' was given",
    "negative-weight=heavy": "negative-weight: 'heavy' was given; allowed: numbers",
    "negative-stop=2": "negative start and stop: 0 and 2 were given",
    "model=": "model: an empty value was given",
    "rule:cfg=none": "axis: 'rule:cfg' was given; allowed: prompt:TEXT or negative:TEXT",
    "prompt:=man": "axis: 'prompt:' was given",
    "prompt:woman=girl": "axis prompt:woman: it changes nothing; the prompt does not hold 'woman'",
    "negative:hat=cap": "axis negative:hat: it changes nothing; the negative does not hold 'hat'",
}


@pytest.mark.parametrize("written", BAD)
def test_a_bad_axis_is_refused_with_a_sentence(written: str) -> None:
    with pytest.raises(InputError, match=re.escape(BAD[written])):
        sweep(BASE, [written])


@pytest.mark.parametrize(
    ("axes", "seeds", "sentence"),
    [
        ([], (), "axis: none was given"),
        (["scale=1", "scale=2"], (), "axis: 'scale' was given twice"),
        (["seed=1,2"], (3,), "seed: 3 was given beside an axis of seeds"),
        (["scale=1"], (3, 3), "seed: 3 was given twice"),
        (["negative-weight=1,2"], (), "axis negative-weight: it changes nothing; there is no negative"),
        ([f"seed={','.join(map(str, range(1000)))}", f"steps={','.join(map(str, range(1, 200)))}"], (), "199000 pictures"),
    ],
)
def test_axes_that_do_not_fit_are_refused(axes: list, seeds: tuple, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        sweep("a house", axes, seeds)


def test_values_of_an_axis_made_in_code_are_checked_as_well() -> None:
    for name, values, sentence in (("prompt:a", (1,), "1 was given; allowed: texts"), ("steps", (), "no values were given")):
        with pytest.raises(InputError, match=sentence):
            Axis(name, values)


@given(st.text())
def test_any_text_is_an_axis_or_a_sentence(text: str) -> None:
    try:
        axis = parse_axis(text)
    except InputError as error:
        assert ":" in str(error)
    else:
        assert axis.name and axis.values


@given(st.lists(st.floats(-1000, 1000), min_size=1, unique=True))
def test_numbers_are_read_as_python_writes_them(values: list[float]) -> None:
    axis = parse_axis("scale=" + ",".join(map(repr, values)))
    assert [Recipe(scale=value) for value in axis.values] == [Recipe(scale=value) for value in values]


def test_cells_are_the_pictures_of_their_recipes_and_share_what_is_equal(folder: Path) -> None:
    base = Recipe("a house", "hat", seed=3, steps=4, model=str(folder))
    *cells, summary = sweep(base, ["window=0:1,0.5:1,1:1", "rule=cfg,none"], make=Here(reproducible=True))
    assert isinstance(summary, Summary) and summary.cells == 6
    alone = negativa.load(str(folder), reproducible=True)
    for cell in cells:
        assert isinstance(cell, Cell) and cell.made.image is not None
        recipe = base.replace(window=((0, 1), (0.5, 1), (1, 1))[cell.column], rule=("cfg", "none")[cell.row])
        assert cell.made.image.tobytes() == alone.generate(recipe).image.tobytes()
    assert summary.rows_asked == 3 * 8 + 3 * 4
    assert summary.rows_run == 3 + (2 + 2 + 1) + (2 + 3 + 1) + (2 + 2 + 2 + 1)  # by step: each path runs the prompt once


def test_the_command_pages_what_cannot_be_drawn(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["sweep", "portrait of a man", "-n", "hat:0.5", "--steps", "1", "--model", str(folder), "--seed", "7"]
    words += ["--axis", "scale=2,3", "--axis", "prompt:man=man|woman", "--axis", "rule=cfg,none", "--out", "swept"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert sorted(file.name for file in Path("swept").iterdir()) == ["index.html", "pictures", "sweep-7-1.png", "sweep-7-2.png"]
    found = negativa.read("swept/pictures/sweep-7-2-2-1.png").recipe
    assert (found.prompt, found.scale, found.rule) == ("portrait of a woman", 2.0, "none")
    assert found.negative == (Negative("hat", 0.5),)
    assert "notice: the negative 'hat' has no effect: the rule 'none' takes no negatives" in done.output


def test_the_sheet_of_a_sweep_over_sizes_crops_no_picture(folder: Path, tmp_path: Path) -> None:
    words = ["sweep", "a house", "--model", str(folder), "--seed", "1", "--steps", "1", "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, [*words, "--axis", "height=64,192,320"])
    assert done.exit_code == 0, done.output
    pixels = np.asarray(Image.open(tmp_path / "out" / "sweep-1.png"))
    for column, file in enumerate(("sweep-1-1-1.png", "sweep-1-1-2.png", "sweep-1-1-3.png")):
        picture = np.asarray(Image.open(tmp_path / "out" / "pictures" / file).convert("RGB"))
        high, wide, _ = picture.shape
        left, bottom = 4 + column * (wide + 4), len(pixels) - 4 - (320 - high) // 2  # gaps of 4 pixels
        assert (pixels[bottom - high : bottom, left : left + wide] == picture).all()


def test_a_model_that_cannot_draw_it_is_said_before_any_work(tmp_path: Path) -> None:
    words = ["sweep", "a house", "--steps", "1", "--seed", "1", "--device", "cpu", "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, [*words, "--axis", "model=exact,terrarium"])
    assert "labels: there is no label 'a house'" in str(done.exception) and not (tmp_path / "out").exists()


def test_a_prompt_that_the_axis_leaves_out_is_said(tmp_path: Path) -> None:
    words = ["sweep", "north", "--model", "exact", "--steps", "1", "--seed", "1"]
    for values, out in (("south|east", "without"), ("north|east", "with")):
        done = CliRunner().invoke(app, [*words, "--out", str(tmp_path / out), "--axis", f"prompt={values}"])
        assert done.exit_code == 0, done.output
        assert ("prompt: 'north' is not among those of the axis, and not drawn" in done.output) == (out == "without")


def test_the_command_refuses_a_knob_that_is_given_twice(folder: Path) -> None:
    for name, axis, words in (
        ("scale", "scale=1,2", ["--scale", "3"]),
        ("negative", "negative=hat|", ["-n", "hat"]),
        ("wrappers", "wrappers=rescale|", ["--wrap", "rescale"]),
        ("embeddings", "embeddings=b|c", ["--embeddings", "a"]),
        ("loras", "loras=b|c", ["--lora", "a:0.5"]),
        ("knob:momentum", "knob:momentum=0,-0.5", ["--rule", "apg", "--knob", "momentum=0.1"]),
    ):
        done = CliRunner().invoke(app, ["sweep", "a house", "--model", str(folder), "--axis", axis, *words])
        assert isinstance(done.exception, InputError), done.output
        assert str(done.exception) == f"{name}: given beside an axis of that name; allowed: one of the two"


def test_the_command_takes_a_knob_beside_an_axis_of_another(folder: Path, tmp_path: Path) -> None:
    words = ["--model", str(folder), "--steps", "1", "--rule", "apg", "--seed", "1", "--out", str(tmp_path / "swept")]
    done = CliRunner().invoke(app, ["sweep", "x", *words, "--axis", "knob:momentum=0,-0.5", "--knob", "radius=2"])
    assert done.exit_code == 0, done.output
    recipes = [negativa.read(file).recipe for file in sorted((tmp_path / "swept" / "pictures").iterdir())]
    assert [recipe.knobs for recipe in recipes] == [(("momentum", one), ("radius", 2.0)) for one in (0.0, -0.5)]


def test_cells_that_come_to_one_picture_are_said(folder: Path) -> None:
    """Between a knob that acts and one that does not; to rounding, as they need not be drawn in one call."""
    base = Recipe("portrait of a man", steps=2, model=str(folder))
    (*_, summary) = sweep(base, ["rule=cfg,perp_neg,none"], seeds=(1, 2))
    assert isinstance(summary, Summary)
    (said,) = (one for one in summary.notices if one.startswith("the picture of"))
    assert said == (
        "the picture of “rule perp_neg, seed 1” is that of “rule cfg, seed 1” (1 more like it): "
        "what differs between them has no effect there"
    )
    (*_, summary) = sweep(base.replace(negative="mustache"), ["rule=cfg,perp_neg,none"], seeds=(1, 2))
    assert isinstance(summary, Summary) and not any(one.startswith("the picture of") for one in summary.notices)
