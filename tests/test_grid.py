"""Grids: the article's texts and colours, one noise for all cells, and a folder one can look at."""

from __future__ import annotations

import html
import json
import re
import signal
import subprocess
import sys
import time
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import negativa
from negativa import InputError, Negative, OutputError, Recipe
from negativa.apps.cli.main import app
from negativa.experiments import grid
from negativa.experiments.grids import Addition, lay_grid
from negativa.experiments.making import Here
from negativa.experiments.page import Album
from negativa.experiments.sheet import Tag, sheet, tagged
from negativa.experiments.tables import Cell, Summary, fill
from tests import lora_files
from tests.conftest import tiny_pipeline

AVOCADO = "an armchair in the shape of an avocado"
POSITIVES = (  # Max Woolf's notebook sd_2_0_grid_3x3.ipynb
    "",
    ", hyper-detailed and intricate, realistic shaded, fine detail, realistic proportions, symmetrical, sharp focus, "
    "8K resolution",
    ", in the style of <midjourney>",
)
NEGATIVES = ("", "ugly, boring, bad anatomy", "in the style of <wrong>")
WHITE, BLACK, GREEN, RED = (255, 255, 255), (0, 0, 0), (39, 174, 96), (192, 57, 43)
FEW = (Addition("none", ""), Addition("hat", "hat"))


@pytest.fixture(scope="module")
def make() -> Here:
    return Here(reproducible=True)


def made(events) -> tuple[dict[tuple[str, int, int], Cell], Summary]:
    *cells, summary = events
    return {(cell.table.name, cell.row, cell.column): cell for cell in cells}, summary


def pixels(cell: Cell) -> bytes:
    assert cell.made.image is not None
    return cell.made.image.tobytes()


def test_the_default_is_the_articles_three_by_three() -> None:
    (table,) = lay_grid(AVOCADO, seeds=(59049,))
    for (i, negative), (j, positive) in product(enumerate(NEGATIVES), enumerate(POSITIVES)):
        assert table.recipes[i][j] == Recipe(AVOCADO + positive, negative, seed=59049)
    stacks = [[[(tag.text.upper(), tag.kind) for tag in tags] for tags in row] for row in table.tags]
    p, t = ("PROMPT", "positive"), ("<TOKEN>", "positive")
    not_p, not_t = ("PROMPT", "negative"), ("<TOKEN>", "negative")
    assert stacks == [[[("ORIGINAL", "plain")], [p], [t]], [[not_p], [p, not_p], [t, not_p]], [[not_t], [p, not_t], [t, not_t]]]


def test_any_rows_and_columns_a_grid_for_each_seed_and_placebos() -> None:
    tables = lay_grid("a house", seeds=(6561, 19683), rows=FEW, columns=FEW[:1], placebo="both")
    assert [(table.name, len(table.rows), len(table.columns)) for table in tables] == [
        ("grid-6561", 3, 2),
        ("grid-19683", 3, 2),
    ]
    for table, seed in zip(tables, (6561, 19683), strict=True):
        recipes = [recipe for row in table.recipes for recipe in row]
        assert {recipe.seed for recipe in recipes} == {seed} and len(set(recipes)) == 6
        word = table.recipes[2][0].negative[0].condition
        assert table.recipes[0][1].prompt == f"a house, {word}"
        assert not {*word.lower().split()} & {"house", *negativa.terrarium.ATTRIBUTES}


def test_rows_are_written_as_negatives_are_and_stand_alone(folder: Path, tmp_path: Path) -> None:
    words = ["grid", "a house", "--model", str(folder), "--steps", "2", "--seed", "1", "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, [*words, "--row", "weak=hat, tree:0.5:0:0.8", "--row", "none="])
    assert done.exit_code == 0, done.output
    made = [negativa.read(file).recipe for file in sorted((tmp_path / "out" / "pictures").iterdir())]
    assert [recipe.negative for recipe in made] == [(Negative("hat, tree", 0.5, 0, 0.8),), ()]
    assert {recipe.prompt for recipe in made} == {"a house"}


def test_the_command_knows_learned_words_and_loras(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    wrong, lora = str(negativa.terrarium.TOKENS / "wrong.safetensors"), tmp_path / "style.safetensors"
    lora_files.write(lora, lora_files.of(tiny_pipeline("epsilon"), ["unet"]))
    for verb, more in (
        ("grid", ["--row", "wrong=<wrong>", "--column", "none="]),
        ("sweep", ["-n", "<wrong>", "--axis", "scale=2"]),
    ):
        call = [verb, "a house", "--embeddings", wrong, "--steps", "1", "--seed", "1", "--device", "cpu", *more, "--out", verb]
        assert CliRunner().invoke(app, call).exit_code == 0
        (cell,) = (Path(verb) / "pictures").glob("*.png")
        assert negativa.read(cell).recipe.embeddings == (wrong,)
    call = [
        "sweep",
        "a hat",
        "--axis",
        "scale=2",
        "--model",
        str(folder),
        "--lora",
        f"{lora}:0.5",
        "--steps",
        "1",
        "--seed",
        "1",
        "--out",
        "x",
    ]
    assert CliRunner().invoke(app, call).exit_code == 0
    (cell,) = Path("x/pictures").glob("*.png")
    assert negativa.read(cell).recipe.loras == ((str(lora), 0.5),)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"placebo": "rows"}, "placebo: 'rows' was given; allowed: row, column, both"),
        ({"rows": ()}, "row: none was given"),
        ({"columns": (*FEW, Addition("hat", "snow"))}, "column: 'hat' was given twice"),
        (
            {"rows": (Addition("placebo", "snow"),), "placebo": "row"},
            "row: 'placebo' is what the row is called that placebo adds",
        ),
        ({"seeds": (3, 3)}, "seed: 3 was given twice"),
        ({"seeds": (-1,)}, "seed: -1 was given"),
        ({"prompt": Recipe("a house", "snow")}, "negative: the recipe of a grid has none"),
    ],
)
def test_a_bad_grid_is_refused(change: dict, sentence: str) -> None:
    with pytest.raises(InputError, match=re.escape(sentence)):
        grid(**{"prompt": "a house", **change})


def test_cells_of_a_row_and_of_a_column_have_the_same_noise(folder: Path, make: Here) -> None:
    """Where nothing is added, or nothing can act, the sampler's noise is all that could tell two cells apart."""
    alike = (Addition("a", ""), Addition("b", ""), Addition("c", ""))
    base = Recipe("a house", steps=4, model=str(folder), sampler="euler_a")
    cells, _ = made(grid(base, (7,), alike, alike, make=make))
    assert len(cells) == 9 and len(set(map(pixels, cells.values()))) == 1

    cells, summary = made(grid(base.replace(scale=1.0), (7, 8), make=make))
    for seed, column in product((7, 8), range(3)):
        assert len({pixels(cells[f"grid-{seed}", row, column]) for row in range(3)}) == 1
    assert len({pixels(cells[f"grid-{seed}", 0, column]) for seed in (7, 8) for column in range(3)}) == 6
    assert any("at scale 1" in notice for notice in summary.notices)


def test_each_cell_is_the_picture_of_its_recipe_alone(folder: Path, make: Here) -> None:
    base = Recipe("a house", steps=3, model=str(folder))
    cells, summary = made(grid(base, (1, 2), FEW, FEW, make=make))
    alone = negativa.load(str(folder), reproducible=True)
    for (name, row, column), cell in cells.items():
        recipe = base.replace(
            prompt="a house, hat" if column else "a house",
            negative="hat" if row else None,
            seed=int(name.removeprefix("grid-")),
        )
        assert pixels(cell) == alone.generate(recipe).image.tobytes()
    assert summary.cells == 8 and summary.rows_asked == 8 * 3 * 2 and summary.failures == ()
    assert summary.rows_run == summary.rows_asked - 2 * 2 * 2  # each of two prompts and two negatives is shared in step one


def test_a_token_that_the_model_does_not_know_is_said(folder: Path, make: Here) -> None:
    _, summary = made(grid(Recipe("a house <|endoftext|> < b >", steps=1, model=str(folder)), (1,), make=make))
    unknown = [notice for notice in summary.notices if "token" in notice]
    assert unknown == [
        f"{field}: the model does not know the token '{token}' and reads it as ordinary pieces"
        for field, token in (("prompt", "<midjourney>"), ("negative", "<wrong>"))
    ]


def test_a_failed_cell_is_told_and_the_others_are_kept(folder: Path, make: Here, tmp_path: Path) -> None:
    def elsewhere(recipes):
        for one in make(recipes):
            yield one if one.index else type(one)(0, None, None, "its machine went away")

    tables = lay_grid(Recipe("a house", steps=1, model=str(folder)), (1,), FEW, FEW)
    album = Album(tmp_path / "grid", "a house")
    cells, summary = made(fill(tables, elsewhere))
    assert [album.keep(cell) is None for cell in cells.values()] == [cell.made.image is None for cell in cells.values()]
    page = album.close(tables, summary)
    assert summary.failures == ("its machine went away",) and len(list((tmp_path / "grid" / "pictures").iterdir())) == 3
    assert page is not None and "its machine went away" in page.read_text()


def test_a_recipe_that_cannot_be_carried_out_is_refused_before_any_work(folder: Path, make: Here) -> None:
    with pytest.raises(InputError, match="width: 33 was given"):
        grid(Recipe("a house", width=33, model=str(folder)), make=make)
    with pytest.raises(negativa.ModelError, match="model: there is no 'terarium'"):
        grid(Recipe("a house", model="terarium"), make=make)


def test_tags_are_stacked_at_the_top_left_in_the_articles_colours_and_sizes() -> None:
    plain = Image.new("RGB", (512, 512), (90, 90, 90))
    one = np.asarray(tagged(plain, [Tag("original")]))
    two = np.asarray(tagged(plain, [Tag("prompt", "positive"), Tag("<token>", "negative")]))
    for drawn, papers in ((one, [WHITE]), (two, [GREEN, RED])):
        for i, paper in enumerate(papers):
            box = drawn[50 * i : 50 * (i + 1), :200]
            assert tuple(box[0, 0]) == tuple(box[-1, -1]) == paper
            ink = BLACK if paper == WHITE else WHITE
            assert 0.05 < (box == ink).all(-1).mean() < 0.5 or paper == WHITE
        outside = drawn.copy()
        outside[: 50 * len(papers), :200] = 90
        assert (outside == 90).all()
    assert (np.asarray(plain) == 90).all()


def test_a_sheet_takes_labels_of_any_length() -> None:
    pictures = [[Image.new("RGB", (60, 60), (200, 30, 30))] * 2] * 2
    short, long = sheet(pictures, ["a", "b"], ["c", "d"]), sheet(pictures, ["word " * 60, "b"], ["word " * 60, "d"])
    bare = sheet(pictures)
    assert bare.size < short.size and long.width <= short.width + 2 * 60
    for page in (short, long, bare):
        assert (np.asarray(page) == (200, 30, 30)).all(-1).sum() == 4 * 60 * 60
    with pytest.raises(ValueError, match=r"zip\(\)"):
        sheet(pictures, ["a"])


def test_letters_that_the_usual_font_lacks_are_written_in_another() -> None:
    """Where this machine has one with them; else all of them are the same box."""
    pictures = [[Image.new("RGB", (128, 128))]]
    letters = [chr(one) for one in (0x1D49C, 0x1D49E)]  # script capitals, which a font beside the usual one has
    one, other = (np.asarray(sheet(pictures, (), [letter])) for letter in letters)
    assert (one != other).any()
    assert sheet(pictures, (), ["\U000f0000"]) == sheet(pictures, (), ["\U000f0001"])  # letters that no font has


def test_a_sheet_shows_pictures_of_several_sizes_whole() -> None:
    small, wide, high = (Image.new("RGB", size, (200, 30, 30)) for size in ((40, 40), (90, 30), (30, 120)))
    for pictures in ([[small, wide, high]], [[small], [wide], [high]]):
        page = np.asarray(sheet(pictures))
        assert (page == (200, 30, 30)).all(-1).sum() == 40 * 40 + 90 * 30 + 30 * 120


def test_the_command_writes_sheets_pictures_and_a_page(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["grid", "a <b>house</b>", "--model", str(folder), "--steps", "2", "--seed", "5", "--seed", "6"]
    words += ["--row", "none=", "--row", 'hat="hat" & </script>', "--column", "as it is=", "--placebo", "column"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    out = tmp_path / "grid-a-b-house-b"
    names = [f"grid-{seed}-{row}-{column}.png" for seed in (5, 6) for row in (1, 2) for column in (1, 2)]
    assert sorted(file.name for file in (out / "pictures").iterdir()) == sorted(names)
    found = negativa.read(out / "pictures" / "grid-6-2-1.png").recipe
    assert (found.prompt, found.negative[0].condition, found.seed) == ("a <b>house</b>", '"hat" & </script>', 6)
    with Image.open(out / "grid-5.png") as drawn:
        assert min(drawn.size) >= 2 * 256
    assert re.search(r"8 cells, (\d+) rows asked, (\d+) run", done.output)

    page = (out / "index.html").read_text()
    assert "http" not in page.replace("http-equiv", "") and "rows asked" in page and "<b>" not in page
    cells = json.loads(re.findall(r'<script type="application/json" id="cells">(.*?)</script>', page, re.DOTALL)[0])
    assert [cell["file"] for cell in cells] == [f"pictures/{name}" for name in names]
    for cell in cells:
        assert html.escape(cell["file"]) in page and (out / cell["file"]).is_file()
        assert cell["facts"]["seed"] in cell["name"] and list(cell["facts"])[:2] == ["prompt", "negative"]

    again = CliRunner().invoke(app, words)
    assert again.exit_code == 0 and (tmp_path / "grid-a-b-house-b-2" / "index.html").is_file()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--row", "hat"], "row: 'hat' was given; allowed: LABEL=TEXT"),
        (["--column", "=hat"], "label: '' was given"),
        (["--placebo", "yes"], "placebo: 'yes' was given"),
        (["--rule", "cfgg"], "did you mean 'cfg'"),
        (["--steps", "0"], "steps: 0 was given"),
        (["--out", "full"], "out: the folder 'full' is not empty"),
        (["--out", "file"], "out: 'file' is a file; allowed: a folder"),
        (["--out", "a/b"], "out: there is no folder 'a'"),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(
    words: list[str], sentence: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    done = CliRunner().invoke(app, ["grid", "a house", "--model", str(folder), "--seed", "1", *words])
    assert isinstance(done.exception, InputError | OutputError) and sentence in str(done.exception)
    assert sorted(tmp_path.rglob("*")) == before


def test_what_is_finished_when_it_is_interrupted_is_kept(folder: Path, make: Here, tmp_path: Path) -> None:
    tables = lay_grid(Recipe("a house", steps=1, model=str(folder)), (1, 2), FEW, FEW)
    album = Album(tmp_path / "grid", "a house")
    for _, cell in pairwise([None, *list(fill(tables, make))[:3]]):
        assert isinstance(cell, Cell)
        album.keep(cell)
    page = album.close(tables, None)
    assert page is not None and "Not all of it was made" in page.read_text() and "not made" in page.read_text()
    assert (tmp_path / "grid" / "grid-1.png").is_file() and not (tmp_path / "grid" / "grid-2.png").exists()
    for file in (tmp_path / "grid" / "pictures").iterdir():
        assert negativa.read(file).recipe.prompt.startswith("a house")


def test_what_breaks_off_by_itself_is_not_called_interrupted(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "pictures").write_text("in the way")
    words = ["grid", "a house", "--model", str(folder), "--steps", "1", "--seed", "1", "--out", str(tmp_path), "--overwrite"]
    done = CliRunner().invoke(app, words)
    assert isinstance(done.exception, OutputError)
    assert "interrupted" not in done.output and "broken off; what was finished is in" in done.output


def test_pictures_of_an_earlier_grid_are_left_and_told(folder: Path, tmp_path: Path) -> None:
    words = ["grid", "a house", "--model", str(folder), "--steps", "1", "--out", str(tmp_path / "out"), "--overwrite"]
    assert "an earlier run" not in CliRunner().invoke(app, [*words, "--seed", "1", "--seed", "2"]).output
    done = CliRunner().invoke(app, [*words, "--seed", "2"])
    assert "9 pictures of an earlier run stay beside them, as " in done.output and "grid-1-1-1.png" in done.output
    assert "an earlier run" not in CliRunner().invoke(app, [*words, "--seed", "1", "--seed", "2"]).output


def test_ctrl_c_ends_quietly_with_a_page_of_what_is_finished(folder: Path, tmp_path: Path) -> None:
    words = ["grid", "a house", "--model", str(folder), "--steps", "5", "--out", "stopped"]
    words += [word for seed in range(100) for word in ("--seed", str(seed))]
    command = ["env", "--default-signal=INT", sys.executable, "-m", "negativa", *words]
    with subprocess.Popen(command, cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        while not (tmp_path / "stopped" / "pictures" / "grid-0-3-3.png").exists() and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert "Traceback" not in said and "interrupted; what was finished is in stopped/index.html; to make all of it" in said
    assert {"index.html", "pictures", "grid-0.png"} <= {file.name for file in (tmp_path / "stopped").iterdir()}
    for file in (tmp_path / "stopped" / "pictures").iterdir():
        assert negativa.read(file).recipe.prompt.startswith("a house")
