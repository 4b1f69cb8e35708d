"""The command line as a person meets it: real processes, on the small folder."""

from __future__ import annotations

import json
import re
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from safetensors.torch import load_file, save_file

import negativa
from negativa import InputError, Negative, Recipe
from negativa.apps.cli.images import parse_image
from negativa.apps.cli.main import app
from negativa.apps.cli.texts import parse_lora
from negativa.language.negatives import parse_negative, write_negative

COMMAND = [sys.executable, "-m", "negativa"]


def run(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *words], capture_output=True, text=True, cwd=cwd, check=False)


def test_generate_read_and_generate_like(folder: Path, tmp_path: Path) -> None:
    made = run(
        *("generate", "portrait of a man", "-n", "mustache", "-n", "glasses:0.5:0.2:0.8", "--seed", "7", "--steps", "4"),
        *("--scale", "5", "--sampler", "euler", "--model", str(folder), "--out", "man.png"),
        cwd=tmp_path,
    )
    assert made.returncode == 0, made.stderr
    assert "man.png" in made.stdout and "Traceback" not in made.stderr
    recipe = negativa.read(tmp_path / "man.png").recipe
    assert recipe.negative == (Negative("mustache"), Negative("glasses", 0.5, 0.2, 0.8))
    assert (recipe.seed, recipe.steps, recipe.scale, recipe.sampler, recipe.width) == (7, 4, 5.0, "euler", 32)

    told = run("read", "man.png", cwd=tmp_path)
    assert told.returncode == 0
    for words in ("portrait of a man", "glasses  (weight 0.5, from 0.2 to 0.8)", "seed       7", "rows_run"):
        assert words in told.stdout

    again = run("generate", "--like", "man.png", "--seed", "8", "--json", "--out", "8.webp", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    receipt = json.loads(again.stdout)
    assert receipt["recipe"] == recipe.replace(seed=8).to_dict()
    assert negativa.read(tmp_path / receipt["file"]).recipe == recipe.replace(seed=8)


def test_many_with_json_and_names_of_our_own(folder: Path, tmp_path: Path) -> None:
    words = ("generate", "a house!", "--count", "3", "--seed", "5", "--steps", "2", "--model", str(folder), "--json")
    for names in (
        ["a-house-5.png", "a-house-6.png", "a-house-7.png"],
        ["a-house-5-2.png", "a-house-6-2.png", "a-house-7-2.png"],
    ):
        done = run(*words, cwd=tmp_path)
        receipts = [json.loads(line) for line in done.stdout.splitlines()]
        assert [receipt["file"] for receipt in receipts] == names
        assert [receipt["recipe"]["seed"] for receipt in receipts] == [5, 6, 7]


def test_a_negative_that_cannot_act_is_said_on_the_screen(folder: Path, tmp_path: Path) -> None:
    words = ("generate", "x", "-n", "hat", "--scale", "1", "--steps", "1", "--model", str(folder), "--out", "x.png")
    assert "notice: the negative 'hat' has no effect: at scale 1" in run(*words, cwd=tmp_path).stderr


BAD = {
    "no prompt": (("generate",), "prompt: none was given"),
    "steps": (("generate", "x", "--steps", "0"), "steps: 0 was given"),
    "scale": (("generate", "x", "--scale", "nan"), "scale: nan was given"),
    "seed": (("generate", "x", "--seed", str(2**64)), "seed: 18446744073709551616 was given"),
    "sampler": (("generate", "x", "--sampler", "euler_ancestral"), "did you mean 'euler_a'"),
    "rule": (("generate", "x", "--rule", "perp-neg"), "did you mean 'perp_neg'"),
    "preset": (("generate", "x", "--rule", "cfg:strong"), "rule: 'cfg' has no preset 'strong'"),
    "knob": (("generate", "x", "--knob", "momentum"), "knob: 'momentum' was given; allowed: NAME=NUMBER"),
    "another's knob": (("generate", "x", "--knob", "momentum=1"), "knobs: the rule 'cfg' has no knob 'momentum'"),
    "wrapper": (("generate", "x", "--wrap", "rescal"), "did you mean 'rescale'"),
    "wrapper's field twice": (
        ("generate", "x", "--wrap", "rescale:share=1:share=0.1"),
        "wrappers: 'rescale:share=1:share=0.1' has 'share' twice; allowed: once",
    ),
    "label of the mixture": (("check", "foo", "--model", "exact"), "labels: there is no label 'foo'"),
    "wrapper's field": (("generate", "x", "--wrap", "rescale:phi=1"), "wrappers: 'rescale' has no 'phi'"),
    "wrapper's number": (
        ("generate", "x", "--wrap", "rescale:share=2"),
        "wrappers: rescale share: 2.0 was given; allowed: from 0 to 1",
    ),
    "rule's sampler": (("generate", "x", "--rule", "dng", "--sampler", "ddim"), "allowed with the rule 'dng': euler_a"),
    "shown rule": (("rules", "perp-neg"), "did you mean 'perp_neg'"),
    "window": (("generate", "x", "--window", "0.2-0.5"), "allowed: START:STOP"),
    "count": (("generate", "x", "--count", "0"), "count: 0 was given"),
    "model": (("generate", "x", "--model", "terarium"), "did you mean 'terrarium'"),
    "out": (("generate", "x", "--out", "there/x.png"), "there is no folder"),
    "out kind": (("generate", "x", "--out", "x.gif"), "allowed: a file that ends in .png"),
    "out without a name": (("generate", "x", "--out", ".png"), "out: '.png' was given; allowed: a name before .png"),
    "three goals": (
        ("bake", "--out", "x.safetensors", "-n", "a", "--erase", "b", "--slider", "c"),
        "negativa: negative: negative and erase and slider were given; allowed: one of",
    ),
    "like": (("generate", "--like", "absent.png"), "absent.png' could not be read"),
    "read": (("read", __file__), "it is no picture, or a damaged one"),
    "folder": (("generate", "x", "--out", ".", "--count", "2"), "out: '.' was given"),
    "long name": (("generate", "x", "--out", "x" * 300 + ".png"), "cannot be written: File name too long"),
    "long model": (("generate", "x", "--model", "x" * 5000), "cannot be looked up"),
    "half a window": (("generate", "x", "-n", "hat:1:0.2"), "allowed: TEXT, TEXT:WEIGHT or TEXT:WEIGHT:START:STOP"),
    "bytes": (("generate", "x", "-n", "\udcff"), "negative: the text holds half a character"),
    "option": (("generate", "x", "--stepps", "3"), "negativa: no such option: --stepps (Possible options: --steps)"),
    "command": (("genrate",), "negativa: no such command 'genrate'"),
    "no value": (("generate", "x", "--steps"), "negativa: option '--steps' requires an argument; see `python -m negativa gen"),
    "no argument": (("grid",), "negativa: prompt: none was given; see `python -m negativa grid --help`"),
    "no option": (("bake",), "negativa: out: none was given; see `python -m negativa bake --help`"),
    "no whole number": (
        ("generate", "x", "--steps", "4.5"),
        "negativa: steps: '4.5' was given; allowed: a whole number fr",
    ),
    "no number": (("generate", "x", "--scale", "abc"), "negativa: scale: 'abc' was given; allowed: a finite number"),
    "steps of training": (("bake", "--out", "x.safetensors", "--steps", "x"), "steps: 'x' was given; allowed: a whole number"),
    "one of several": (("grid", "x", "--seed", "b", "--seed", "1"), "seed: 'b, 1' was given; allowed: a whole number from 0"),
    "twice": (("generate", "x", "--seed", "1", "--seed", "2"), "negativa: seed: given 2 times; allowed: once"),
    "knob twice": (("generate", "x", "--knob", "momentum=1", "--knob", "momentum=2"), "knob: 'momentum' was given twice"),
    "config": (("generate", "x", "--config", "/nope"), "config: there is no '/nope'; allowed: a folder"),
    "encoder": (("generate", "x", "--image-encoder", "/nope"), "image encoder: there is no '/nope'; allowed: a folder"),
    "device": (("generate", "x", "--device", "toaster"), "device: 'toaster' was given; allowed here: c"),
    "training seed": (("train", "terrarium", "--seed", "-1"), "seed: -1 was given"),
    "training folder": (("train", "terrarium", "--folder", "/dev/null/x"), "folder: '/dev/null/x' cannot be written"),
    "minutes": (("train", "terrarium", "--minutes", "-1"), "minutes: -1.0 was given"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_a_sentence_and_status_2(case: str, tmp_path: Path) -> None:
    words, sentence = BAD[case]
    done = run(*words, cwd=tmp_path)
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert sentence in lines[-1] and lines[-1].startswith("negativa: ")
    assert all(line.startswith("[transformers]") for line in lines[:-1])
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_ends_quietly_and_leaves_whole_files(folder: Path, tmp_path: Path) -> None:
    words = ("generate", "x", "--count", "500", "--steps", "5", "--model", str(folder), "--json")
    listening = ["env", "--default-signal=INT", *COMMAND]  # a shell in the background has its children ignore it
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([*listening, *words], cwd=tmp_path, text=True, **pipes) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()  # the first picture is there
        process.send_signal(signal.SIGINT)
        _, words_left = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in words_left
    files = sorted(tmp_path.iterdir())
    assert f"interrupted; {len(files)} of 500 pictures are in {str(tmp_path)!r}\n" == words_left
    for file in files:
        assert negativa.read(file).recipe.prompt == "x"


@pytest.mark.parametrize(
    ("text", "negative"),
    [
        ("mustache", Negative("mustache")),
        ("mustache:1.5", Negative("mustache", 1.5)),
        ("a: b", Negative("a: b")),
        ("at 10:30", Negative("at 10:30")),
        ("hat:-1:0:.5", Negative("hat", -1, 0, 0.5)),
        (r"hat\:nan", Negative(r"hat\:nan")),
        (r"hat\:0.5", Negative(r"hat\:0.5")),
        (r"hat\:1:0.5:0:1", Negative(r"hat\:1", 0.5)),
        ("(hat:1.2", Negative("(hat:1.2")),
        ("size:", Negative("size:")),
    ],
)
def test_negatives_as_written(text: str, negative: Negative) -> None:
    assert parse_negative(text) == negative
    assert parse_negative(write_negative(negative)) == negative


@given(
    st.text(st.sampled_from("at 10:.5-,()\\AND"), min_size=1, max_size=12).filter(str.strip),
    st.sampled_from([1.0, 0.5, -2.0, 1e-7, 0.1 + 0.2]),
    st.sampled_from([(0.0, 1.0), (0.25, 0.5), (1e-9, 1.0)]),
)
def test_what_is_written_of_a_negative_is_read_again(text: str, weight: float, window: tuple[float, float]) -> None:
    negative = Negative(text, weight, *window)
    try:
        written = write_negative(negative)
    except InputError:
        assert text.endswith("\\") or re.search(r":-?[\d.]+$", text), "what ends like numbers cannot always be written"
    else:
        assert parse_negative(written) == negative


@pytest.mark.parametrize("end", [":nan", ":1:0:1:3", ":5e-1", ":,5", ":1e300", ":+1", ":-inf", ":1.2.3", ":0.5:", ":1:nan:1"])
def test_an_end_that_looks_like_numbers_and_is_none_is_refused(end: str) -> None:
    for text in (f"hat{end}", f"two hats, (a car){end}"):
        with pytest.raises(InputError, match=r"negative: .* was given; allowed: TEXT, TEXT:WEIGHT or"):
            parse_negative(text)
    with pytest.raises(InputError, match=r"lora: .* was given; allowed: FILE or FILE:WEIGHT"):
        parse_lora(f"f.safetensors{end}")
    with pytest.raises(InputError, match=r"image: .* was given; allowed: \[ADAPTER=\]PATH"):
        parse_image(f"base=cat.png{end}")


def test_files_that_end_like_numbers_are_files(tmp_path: Path) -> None:
    file = tmp_path / "f:nan"
    file.write_text("")
    assert parse_lora(str(file)) == (str(file), 1.0) and parse_lora(f"{file}:0.5") == (str(file), 0.5)
    with pytest.raises(InputError, match="allowed: FILE or FILE:WEIGHT"):
        parse_lora(f"{tmp_path}/g:1:2")


@pytest.mark.parametrize("text", ["hat:1:0.5:0.2", "hat:1:0.2", "hat:1:0:2"])
def test_windows_that_are_none(text: str) -> None:
    with pytest.raises(InputError, match="negative"):
        parse_negative(text)


def test_others_pictures_are_read_whatever_made_them(tmp_path: Path) -> None:
    text = "a cat\nNegative prompt: dog\nSteps: 4, Sampler: LMS, CFG scale: 7, Seed: 1, Clip skip: 2"
    another(tmp_path / "lms.png", text)
    told = run("read", "lms.png", cwd=tmp_path)
    assert told.returncode == 0 and "LMS" in told.stdout and "negative   dog" in told.stdout
    assert json.loads(run("read", "lms.png", "--json", cwd=tmp_path).stdout)["recipe"] is None
    refused = run("generate", "--like", "lms.png", cwd=tmp_path)
    assert refused.returncode == 2 and "sampler: 'LMS' stands in the picture" in refused.stderr


def drawn(*words: str, folder: Path, cwd: Path) -> tuple[negativa.Recipe, str]:
    """The recipe that `generate` carried out, and what it said."""
    told = run("generate", *words, "--model", str(folder), "--json", "--out", "new.png", "--overwrite", cwd=cwd)
    assert told.returncode == 0, told.stderr
    return negativa.Recipe.from_dict(json.loads(told.stdout)["recipe"]), told.stderr


def test_settings_without_effect_are_said(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    adapter = Path(negativa.__file__).parent / "terrarium" / "weights" / "ip_adapter" / "base.safetensors"
    words = ("generate", "x", "--steps", "1", "--out", "x.png", "--syntax", "plain", "--emphasis", "comfy")
    words = (*words, "--embeddings", "empty", "--config", str(folder), "--image-encoder", str(folder))
    told = run(*words, "--adapter", str(adapter), cwd=tmp_path)
    assert told.returncode == 0, told.stderr
    for sentence in (
        "emphasis: no text has weights; 'comfy' has no effect",
        "embeddings: there is no embedding file in 'empty'; it has no effect",
        f"config: no model is a single file; {str(folder)!r} has no effect",
        f"image encoder: no image is given; {str(folder)!r} has no effect",
        f"adapter: no image is given; {str(adapter)!r} has no effect",
    ):
        assert f"notice: {sentence}\n" in told.stderr
    weighted = run("generate", "(x:1.2)", "--steps", "1", "--out", "y.png", "--emphasis", "comfy", cwd=tmp_path)
    assert weighted.stderr == ""


def another(file: Path, text: str, **chunks: str) -> None:
    """A picture as another program writes it."""
    notes = PngInfo()
    notes.add_text("parameters", text)
    for name, chunk in chunks.items():
        notes.add_itxt(name, chunk)
    Image.new("RGB", (8, 8)).save(file, pnginfo=notes)


def test_like_keeps_what_is_not_replaced(folder: Path, tmp_path: Path) -> None:
    made = negativa.Recipe("a man", "hat", seed=5, steps=2, rule="sld", knobs={"momentum": 0.1, "threshold": 0.02})
    negativa.save(tmp_path / "r.png", Image.new("RGB", (8, 8)), negativa.Receipt(made, 1, 1, 1.0))

    def like(*words: str) -> tuple[negativa.Recipe, str]:
        return drawn("--like", "r.png", *words, folder=folder, cwd=tmp_path)

    both, _ = like("a woman without a beard or a hat", "--knob", "strength=7")
    assert both.prompt == "a woman" and both.negative == (Negative("hat"), Negative("beard"))
    assert both.knobs == (("momentum", 0.1), ("strength", 7.0), ("threshold", 0.02))
    typed, _ = like("a woman without a beard", "-n", "car")
    assert typed.negative == (Negative("car"), Negative("beard")) and typed.knobs == made.knobs
    assert like("-n", "")[0].negative == ()
    ruled, said = like("--rule", "cfg")
    assert ruled.knobs == () and ruled.negative == made.negative
    assert "notice: not carried over from the rule 'sld' to 'cfg': momentum=0.1, threshold=0.02" in said
    preset, said = like("--rule", "sld:strong")
    assert preset.knobs == made.knobs and "not carried over" not in said


def test_like_says_which_names_stand_for_other_weights_now(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "mine")
    made = run("generate", "x", "--steps", "1", "--seed", "1", "--model", "mine", "--out", "r.png", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    again = ("generate", "--like", "r.png", "--out", "new.png", "--overwrite")
    assert "notice" not in run(*again, cwd=tmp_path).stderr
    before = negativa.load(str(tmp_path / "mine")).denoiser.hash
    file = tmp_path / "mine" / "unet" / "diffusion_pytorch_model.safetensors"
    save_file({name: value * 1.01 for name, value in load_file(file).items()}, file, {"format": "pt"})
    now = negativa.load(str(tmp_path / "mine")).denoiser.hash
    said = run(*again, cwd=tmp_path).stderr
    assert f"notice: model_hash: r.png was made with {before} of 'mine', now it is {now}" in said
    assert any("r.png" in one for one in negativa.read(tmp_path / "new.png").receipt["notices"])
    assert before in run("read", "r.png", cwd=tmp_path).stdout


def test_like_takes_no_more_over_than_a_rule_and_a_syntax_bear(folder: Path, tmp_path: Path) -> None:
    made = negativa.Recipe("a (man:1.2)", "hat", seed=5, steps=2, sampler="euler_a", emphasis="original")
    negativa.save(tmp_path / "r.png", Image.new("RGB", (8, 8)), negativa.Receipt(made, 1, 1, 1.0))

    def like(*words: str) -> tuple[negativa.Recipe, str]:
        return drawn("--like", "r.png", *words, folder=folder, cwd=tmp_path)

    recipe, said = like("--rule", "cfg_pp")
    assert recipe.sampler == "ddim" and "notice: not carried over to the rule 'cfg_pp': the sampler euler_a" in said
    assert like("--syntax", "comfy")[0].emphasis == "comfy"
    assert like("--syntax", "comfy", "--emphasis", "original")[0].emphasis == "original"


def test_like_of_anothers_picture_says_what_it_leaves_and_takes_what_replaces_it(folder: Path, tmp_path: Path) -> None:
    def like(settings: str, *words: str) -> tuple[negativa.Recipe, str]:
        another(tmp_path / "a.png", f"a cat\n{settings}, CFG scale: 7, Size: 8x8")
        return drawn("--like", "a.png", *words, folder=folder, cwd=tmp_path)

    seeds = {like("Steps: 1, Sampler: Euler")[0].seed for _ in range(2)}
    assert len(seeds) == 2, "a seed that the picture does not say is drawn by lot"
    assert like("Steps: 1, Sampler: DPM2 a, Seed: 3", "--sampler", "euler")[0].sampler == "euler"
    assert like("Steps: 1, Sampler: Euler, Seed: -1", "--seed", "3")[0].seed == 3
    _, said = like("Steps: 1, Seed: 3, Model: dreamshaper, Model hash: abcdef, Clip skip: 2")
    assert "not carried over from a.png: Clip skip" in said, "--model is given"
    settings = "Steps: 1, Seed: 3, Model: dreamshaper, Model hash: abcdef, Clip skip: 2"
    another(tmp_path / "a.png", f"a cat <lora:a style:1>\n{settings}")
    told = run("generate", "--like", "a.png", "--out", "new.png", "--overwrite", cwd=tmp_path)
    said = "not carried over from a.png: Model, Model hash, Clip skip, <lora:a style:1>"
    assert told.returncode == 0 and said in told.stderr


def test_a_damaged_recipe_is_said(folder: Path, tmp_path: Path) -> None:
    another(tmp_path / "x.png", "a cat\nSteps: 1, Seed: 4, Size: 8x8", negativa='{"recipe": ')
    recipe, said = drawn("--like", "x.png", folder=folder, cwd=tmp_path)
    sentence = "notice: what x.png says of itself is damaged; its 'parameters' text is read, which holds less"
    assert recipe.seed == 4 and sentence in said
    assert sentence in run("read", "x.png", cwd=tmp_path).stderr


def test_a_full_disk_is_a_sentence_and_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    """A limit on the size of files stands in for the disk: the kernel refuses the write, halfway."""
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))\n"
        "sys.argv = ['negativa', *sys.argv[1:]]\n"
        "from negativa.apps.cli.main import main; main()"
    )
    words = ("generate", "x", "--steps", "1", "--model", str(folder), "--out", "x.png")
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 2 and "out: 'x.png' could not be written: File too large" in done.stderr
    assert "Traceback" not in done.stderr and list(tmp_path.iterdir()) == []


def test_lists(tmp_path: Path) -> None:
    for verb, words in (("rules", "cfg"), ("samplers", "dpmpp_2m_karras"), ("models", "terrarium"), ("measures", "presence")):
        done = run(verb, cwd=tmp_path)
        assert done.returncode == 0 and words in done.stdout


def test_help_says_what_stands_where_nothing_is_given() -> None:
    from negativa.training.bake import Goal, Settings

    commands: Any = typer.main.get_command(app)

    def check(command: str, **usual: object) -> None:
        said = {one.name: one.help for one in commands.commands[command].params}
        for option, value in usual.items():
            assert re.search(rf"\b{value} if not given", said[option]), (command, option)

    settings = {name: getattr(Recipe(), name) for name in ("steps", "rule", "syntax", "no_image")}
    check("generate", **settings, model="terrarium", window="0:1", lora="weight 1", dtype="float16 on CUDA, else float32")
    baked = [Settings(Goal("negative", "hat"), Path("a.safetensors"), full=full) for full in (False, True)]
    numbers = {name: getattr(baked[0], name) for name in ("rank", "steps", "batch", "walks", "pictures", "layout", "dtype")}
    check("bake", **numbers)
    (rates,) = (one.help for one in commands.commands["bake"].params if one.name == "learning_rate")
    assert [float(one) for one in re.findall(r"5e-\d", rates)] == [one.rate for one in baked]


def test_help_answers_at_once_and_imports_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys; sys.argv = ['negativa', '--help']\n"
        "from negativa.apps.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(*sorted({'torch', 'diffusers', 'transformers', 'numpy', 'PIL'} & set(sys.modules)), 'loaded')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.splitlines()[-1].split() == ["loaded"]


BARE = """
import typer
app = typer.Typer()
@app.command()
def one(name: str) -> None: ...
@app.command()
def two(name: str) -> None: ...
app()
"""


def test_help_takes_little_more_work_than_that_of_a_bare_command_line(tmp_path: Path) -> None:
    def work(*command: str) -> float:
        taken: list[float] = []
        for _ in range(3):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            assert subprocess.run([*command, "--help"], capture_output=True, cwd=tmp_path, check=False).returncode == 0
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            taken.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        return min(taken)

    assert work(*COMMAND) < 2.5 * work(sys.executable, "-c", BARE)
