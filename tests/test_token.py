"""Learned tokens: only their rows move, every interruption is taken up, other programs read the file, bad input is said."""

from __future__ import annotations

import csv
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor, nn
from typer.testing import CliRunner, Result

import negativa
from negativa import InputError, NegativaError, OutputError
from negativa.apps.cli.main import app
from negativa.denoisers.embeddings import Embedding, read, write
from negativa.experiments.placebo import Compared, compare, find
from negativa.measures import build
from negativa.plain.conditions import Words
from negativa.training import negative, token, wrong
from negativa.training.denoising import denoising, weighted
from negativa.training.loop import train
from negativa.training.progress import Notice, Progress
from negativa.training.token import Learned, Learner, Pictured, Settings, lora
from negativa.training.token.lora import LearnedLora
from tests.measured import painted
from tests.test_sdxl import tiny_xl

STEPS = 6


@pytest.fixture(scope="module")
def xl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("xl")
    tiny_xl(place / "words").save_pretrained(place / "model")
    return place / "model"


@pytest.fixture(params=["sd", "xl"])
def model(request: pytest.FixtureRequest, folder: Path, xl: Path) -> str:
    return str({"sd": folder, "xl": xl}[request.param])


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("pictures")
    for i in range(5):
        pixels = np.random.default_rng(i).integers(0, 256, (40, 50, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(place / f"{i}.png")
    return place


@pytest.fixture
def settings(pictures: Path, folder: Path, tmp_path: Path) -> Settings:
    out = tmp_path / "wrong.safetensors"
    return Settings(pictures, "<wrong>", out, str(folder), vectors=2, steps=STEPS, batch=2, validate=0)


@pytest.fixture(scope="module")
def unbroken(pictures: Path, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Embedding:
    """What comes of the settings without an interruption."""
    out = tmp_path_factory.mktemp("unbroken") / "wrong.safetensors"
    settings = Settings(pictures, "<wrong>", out, str(folder), vectors=2, steps=STEPS, batch=2, validate=0)
    return learned(settings).embedding


def learned(settings: Settings) -> Learned:
    *_, last = token.run(settings)
    assert isinstance(last, Learned)
    return last


def same(first: Embedding, second: Embedding) -> bool:
    pairs = zip(first.vectors.values(), second.vectors.values(), strict=True)
    return list(first.vectors) == list(second.vectors) and all(torch.equal(a, b) for a, b in pairs)


# ---- what moves


def test_only_the_tokens_rows_move(settings: Settings, model: str, tmp_path: Path) -> None:
    denoiser = negativa.load(model).denoiser
    parts = [getattr(denoiser, name) for name in denoiser.networks]
    before = [{name: value.clone() for name, value in part.state_dict().items()} for part in parts]
    learner = Learner(denoiser, "<wrong>", 2, "man")
    known = denoiser.tokenizer.convert_tokens_to_ids("man</w>")
    first = before[list(denoiser.networks).index("text_encoder")]
    (table,) = [name for name in first if name.endswith("token_embedding.weight")]
    assert torch.equal(learner.start.vectors["clip_l"], first[table][[known, known]])

    shape = denoiser.shape(32, 32)
    latents, signal_ = torch.randn(3, *shape), torch.linspace(0.99, 0.01, 1000)

    def loss(module: Learner, rng: np.random.Generator, _: float) -> Tensor:
        batch = denoising(latents, signal_, rng, count=2)
        return weighted(module.predict(batch.noisy, batch.timesteps, [f"a {module.written}"] * 2), batch, 0.0)

    list(train("token", learner, loss, tmp_path / "run", steps=3, minutes=None, learning_rate=0.1, seed=0))
    for part, old in zip(parts, before, strict=True):
        for name, value in part.state_dict().items():
            assert torch.equal(value[: len(old[name])], old[name]), name
    after = learner.embedding()
    assert all(not torch.equal(after.vectors[name], rows) for name, rows in learner.start.vectors.items())
    assert not torch.equal(after.vectors["clip_l"][0], after.vectors["clip_l"][1])


@pytest.mark.parametrize("room", [1, 3])
def test_what_is_learned_from_is_what_is_read_later(model: str, room: int) -> None:
    """Also where the second tokenizer of Stable Diffusion XL would cut an exclamation mark out of a word."""
    denoiser = negativa.load(model).denoiser
    learner = Learner(denoiser, "<wrong>", 2, "man")
    texts = [f"a hat! {learner.written}", "a man", f"a hat! {learner.written}"]
    states, beside = denoiser.told([Words(text) for text in texts], room, (16, 16))
    read = learner(texts, room)
    for i, one in enumerate(read):
        torch.testing.assert_close(one.states, states[i], rtol=0, atol=1e-5)
        if beside is not None:
            torch.testing.assert_close(one.pooled, beside["text_embeds"][i], rtol=0, atol=1e-5)
    assert learner([f"{learner.written} " + "hat " * 100], room)[0].states.shape == read[0].states.shape


def test_a_step_follows_the_mean_of_what_it_accumulates(tmp_path: Path) -> None:
    def loss(module: nn.Module, rng: np.random.Generator, _: float) -> Tensor:
        return module(torch.from_numpy(rng.standard_normal((1, 3)).astype(np.float32))).square().sum()

    def after(count: int, goal: Callable) -> tuple[Tensor, float | None]:
        torch.manual_seed(0)
        module = nn.Linear(3, 1)
        run = train("x", module, goal, tmp_path / str(count), steps=1, minutes=None, learning_rate=1, seed=0, accumulate=count)
        (now,) = run
        return module.weight, now.loss

    twice = after(2, loss)
    once = after(1, lambda m, rng, share: (loss(m, rng, share) + loss(m, rng, share)) / 2)
    assert torch.allclose(twice[0], once[0]) and twice[1] == pytest.approx(once[1])


@pytest.mark.parametrize("broken", ["loss", "gradient"])
def test_a_loss_that_is_no_number_ends_the_training_with_what_was_reached(tmp_path: Path, broken: str) -> None:
    module = nn.Linear(1, 1)

    def loss(m: nn.Module, rng: np.random.Generator, share: float) -> Tensor:
        found = m(torch.ones(1, 1)).sum()
        if share < 0.5:
            return found
        return found * float("nan") if broken == "loss" else (found - found).sqrt()

    with pytest.raises(InputError, match="learning_rate: at step 6 the loss is no number any more"):
        list(train("x", module, loss, tmp_path, steps=10, minutes=None, learning_rate=0.1, seed=0))
    state = torch.load(tmp_path / "x.pt", weights_only=True)
    assert state["step"] == 5 and all(value.isfinite().all() for value in state["module"].values())


# ---- the file


@pytest.mark.parametrize("layout", ["diffusers", "kohya"])
def test_diffusers_reads_the_file_and_says_what_we_say(settings: Settings, layout: str) -> None:
    end = learned(replace(settings, layout=layout))
    theirs = StableDiffusionPipeline.from_pretrained(settings.model)
    theirs.load_textual_inversion(str(settings.out), **({"token": "<wrong>"} if layout == "kohya" else {}))
    ours = negativa.load(settings.model, embeddings=settings.out).denoiser
    expected = theirs.encode_prompt("a man, <wrong>", "cpu", 1, False)[0][0]
    assert torch.allclose(ours._encoding(Words("a man, <wrong>"), 1).states, expected, atol=1e-6)
    assert same(read(settings.out), end.embedding)
    with safe_open(settings.out, "pt") as file:
        notes = json.loads(file.metadata()["negativa"])
    assert notes["steps"] == STEPS and notes["pictures"] == 5 and notes["token"] == "<wrong>"


@pytest.mark.parametrize("layout", ["sdxl", "diffusers"])
def test_diffusers_reads_both_encoders(settings: Settings, xl: Path, layout: str) -> None:
    end = learned(replace(settings, model=str(xl), layout=layout))
    held = load_file(settings.out)
    if layout == "diffusers":
        other = load_file(settings.out.with_name("wrong_2.safetensors"))
        held = {"clip_l": held["<wrong>"], "clip_g": other["<wrong>"]}
    theirs = StableDiffusionXLPipeline.from_pretrained(xl, add_watermarker=False)
    theirs.load_textual_inversion(held["clip_l"], "<wrong>", text_encoder=theirs.text_encoder, tokenizer=theirs.tokenizer)
    theirs.load_textual_inversion(held["clip_g"], "<wrong>", text_encoder=theirs.text_encoder_2, tokenizer=theirs.tokenizer_2)
    theirs.text_encoder_2.text_model.eos_token_id = theirs.tokenizer_2.eos_token_id
    expected, _, pooled, _ = theirs.encode_prompt("a man, <wrong>", device="cpu", do_classifier_free_guidance=False)
    assert torch.equal(held["clip_g"], end.embedding.vectors["clip_g"])
    if layout == "sdxl":
        ours = negativa.load(str(xl), embeddings=settings.out).denoiser._encoding(Words("a man, <wrong>"), 1)
        assert torch.allclose(ours.states, expected[0], atol=1e-6) and torch.allclose(ours.pooled, pooled[0], atol=1e-6)


def test_the_pair_of_diffusers_comes_back(tmp_path: Path) -> None:
    pair = Embedding("<x>", {"clip_l": torch.randn(2, 768), "clip_g": torch.randn(2, 1280)}, "", "", tmp_path)
    write(pair, tmp_path / "x.safetensors", "diffusers", notes={"about": "this"})
    found = read(tmp_path / "x.safetensors")
    assert (found.name, found.layout) == ("<x>", "diffusers pair") and same(found, pair)
    (tmp_path / "x.safetensors").unlink()
    with pytest.raises(OutputError, match="is there already"):
        write(pair, tmp_path / "x.safetensors", "diffusers")
    assert not (tmp_path / "x.safetensors").exists()


# ---- interruptions


@pytest.mark.parametrize("stop", range(1, STEPS))
def test_stopped_at_any_step_it_ends_where_an_unbroken_one_does(settings: Settings, unbroken: Embedding, stop: int) -> None:
    again = replace(settings, validate=4 if stop == 3 else 0)
    for now in (events := token.run(again)):
        if isinstance(now, Progress) and (now.part, now.step) == ("token", stop):
            events.close()
            break
    assert not again.out.exists()
    later = list(token.run(again))
    assert [now.step for now in later if isinstance(now, Progress) and now.part == "token"] == [*range(stop + 1, STEPS + 1)]
    assert same(later[-1].embedding, unbroken)
    with (again.place / "losses.csv").open() as table:
        assert [row["step"] for row in csv.DictReader(table)] == [str(i + 1) for i in range(STEPS)]
    board = EventAccumulator(str(again.place))
    board.Reload()
    assert [event.step for event in board.Scalars("loss")] == [i + 1 for i in range(STEPS)]


def test_ctrl_c_at_any_moment(settings: Settings, unbroken: Embedding) -> None:

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before, stopped, end = signal.signal(signal.SIGALRM, interrupt), 0, None
    try:
        while not isinstance(end, Learned):
            try:
                for end in token.run(settings):
                    if end == Progress("encoding", 1, 5):
                        signal.setitimer(signal.ITIMER_REAL, 0.02 * (stopped + 1))
            except KeyboardInterrupt:
                stopped += 1
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert stopped and same(end.embedding, unbroken) and same(read(settings.out), unbroken)


def test_ctrl_c_ends_the_command_quietly_with_what_was_reached(settings: Settings, tmp_path: Path) -> None:
    words = [
        "train",
        "token",
        str(settings.pictures),
        "--token",
        "<cat>",
        "--out",
        "cat.safetensors",
    ]
    words += ["--model", settings.model, "--validate", "3", "--prompt", "a <cat> in a hat", "--precision", "bf16"]
    command = ["env", "--default-signal=INT", sys.executable, "-m", "negativa", *words]
    with subprocess.Popen(command, cwd=tmp_path, text=True, stderr=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stderr is not None
        while "validation" not in (said := process.stderr.readline()):
            assert said, "it ended before it was stopped"
        process.send_signal(signal.SIGINT)
        _, left = process.communicate(timeout=60)
    assert "interrupted; what was finished is kept; run it again to go on" in left
    assert process.returncode == 130 and "Traceback" not in left and not (tmp_path / "cat.safetensors").exists()
    assert torch.load(tmp_path / "cat-training" / "token.pt", weights_only=True)["step"] >= 3
    drawn = negativa.read(tmp_path / "cat-training" / "validation" / "000003-0.png")
    assert drawn.recipe.prompt == "a <cat> in a hat"


# ---- on the way


def test_pictures_on_the_way_show_what_is_learned(settings: Settings) -> None:
    shown = [now for now in token.run(replace(settings, validate=3, learning_rate=0.5)) if isinstance(now, Pictured)]
    assert [now.step for now in shown] == [3, 6]
    first, last = (Image.open(now.file).tobytes() for now in shown)
    assert first != last
    assert negativa.read(shown[0].file).recipe.prompt == "a picture of <wrong> <wrong>_1"


# ---- bad input


def test_a_damaged_picture_is_said_and_left_out(settings: Settings, unbroken: Embedding, tmp_path: Path) -> None:
    some = tmp_path / "some"
    some.mkdir()
    for file in settings.pictures.iterdir():
        (some / file.name).write_bytes(file.read_bytes())
    (some / "9.png").write_bytes((some / "0.png").read_bytes()[:200])
    (some / "notes.txt").write_text("no picture")
    events = list(token.run(replace(settings, pictures=some)))
    (notice,) = [now for now in events if isinstance(now, Notice)]
    assert "left out" in notice.text and "9.png" in notice.text
    assert same(events[-1].embedding, unbroken)
    for file in some.glob("*.png"):
        file.write_bytes(b"")
    with pytest.raises(InputError, match="pictures: none of the 6 files could be read"):
        learned(replace(settings, pictures=some, out=tmp_path / "none.safetensors"))


BAD: dict[str, tuple[dict[str, object], str]] = {
    "no folder": ({"pictures": Path("nowhere")}, r"pictures: 'nowhere' could not be read: No such file"),
    "a token that exists": ({"token": "<|endoftext|>"}, r"token: '<\|endoftext\|>' was given; allowed: letters, digits"),
    "no brackets": ({"token": "wrong"}, "token: 'wrong' was given; allowed: letters, digits"),
    "vectors": ({"vectors": 0}, "vectors: 0 was given; allowed: a whole number from 1 to 32"),
    "batch": ({"batch": 0}, "batch: 0 was given"),
    "rate": ({"learning_rate": float("nan")}, "learning_rate: nan was given"),
    "seed": ({"seed": -1}, "seed: -1 was given"),
    "templates": ({"templates": "styles"}, "did you mean 'style'"),
    "precision": ({"precision": "fp8"}, "precision: 'fp8' was given"),
    "half on a CPU": ({"precision": "fp16", "device": "cpu"}, "precision: 'fp16' was given; allowed on a CPU: no, bf16"),
    "layout": ({"layout": "sdxl"}, "layout: 'sdxl' was given"),
    "prompt": ({"prompts": ("a cat",)}, "prompts: 'a cat' was given; allowed: a text that holds <wrong>"),
    "prompts never drawn": ({"prompts": ("a <wrong> cat",), "validate": 0}, "prompts: given with validate 0, which draws none"),
    "no words": ({"model": "exact"}, "model: 'exact' has nothing that could learn"),
    "no model": ({"model": "./nothing"}, "model: there is no './nothing'"),
    "ending": ({"out": Path("x.pt")}, "out: 'x.pt' was given; allowed: a file that ends in .safetensors"),
    "no place": ({"out": Path("nowhere/x.safetensors")}, "out: there is no folder 'nowhere'"),
    "another name": ({"layout": "kohya", "token": "<w>"}, "which the layout kohya names after its file"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_sentence_and_leaves_nothing(settings: Settings, case: str, tmp_path: Path) -> None:
    changes, sentence = BAD[case]
    with pytest.raises(NegativaError, match=sentence):
        learned(replace(settings, **changes))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("out", [".", "", "/"])
@pytest.mark.parametrize("folder", [(), ("--folder", "run")])
@pytest.mark.parametrize(
    "command",
    [
        ("train", "token", "{pictures}", "--token", "<x>"),
        ("train", "wrong"),
        ("train", "negative"),
        ("bake", "--negative", "hat"),
        ("bake", "--negative", "hat", "--full", "--overwrite"),
    ],
)
def test_an_out_without_a_name_is_refused(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple, folder: tuple, out: str
) -> None:
    monkeypatch.chdir(tmp_path)
    words = [word.format(pictures=pictures) for word in command]
    refused = CliRunner().invoke(app, [*words, *folder, "--out", out]).exception
    assert isinstance(refused, InputError) and "allowed: a path that ends in a name" in str(refused), refused
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "scheduler", [{"_class_name": "FlowMatchEulerDiscreteScheduler"}, {"prediction_type": "flow_prediction"}]
)
def test_a_flow_is_refused_before_the_work(settings: Settings, tmp_path: Path, scheduler: dict[str, str]) -> None:
    shutil.copytree(settings.model, tmp_path / "flow")
    file = tmp_path / "flow" / "scheduler" / "scheduler_config.json"
    file.write_text(json.dumps({"num_train_timesteps": 1000} | scheduler))
    asked = replace(settings, model=str(tmp_path / "flow"))
    no = negative.Settings(settings.out, "<no>", asked.model, ("a man", "a cat"), settings.model)
    for run in (token.run(asked), lora.run(asked, 2), wrong.run(wrong.Settings(asked)), negative.run(no)):
        with pytest.raises(InputError, match=r"model: .* predicts a flow; allowed: one that predicts noise"):
            list(run)
    assert [one.name for one in tmp_path.iterdir()] == ["flow"]


def test_no_pictures_and_what_is_there_already(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="pictures: there is no picture in"):
        learned(replace(settings, pictures=tmp_path / "empty"))
    settings.out.write_bytes(b"mine")
    with pytest.raises(OutputError, match="is there already; allowed: a new name, or --overwrite"):
        learned(settings)
    assert settings.out.read_bytes() == b"mine"
    learned(replace(settings, overwrite=True))
    with pytest.raises(InputError, match="was begun with steps 6, now 7 was given"):
        learned(replace(settings, steps=7))
    with pytest.raises(InputError, match=r"embedding: '<wrong>' is for .*allowed: vectors of width"):
        negativa.load("terrarium", embeddings=settings.out).generate(negativa.Recipe("a <wrong>", steps=1))
    used = negativa.load(settings.model)
    used.denoiser.tokenizer.add_tokens("<wrong>")
    with pytest.raises(InputError, match=r"token: '<wrong>' is a token of .* already; allowed: another name"):
        Learner(used.denoiser, "<wrong>", 1)


@contextmanager
def no_room(size: int) -> Iterator[None]:
    """No file grows beyond so many bytes, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("size", [10, 1500])
def test_no_room_on_the_disk_loses_nothing(settings: Settings, unbroken: Embedding, size: int) -> None:
    for now in (events := token.run(settings)):
        if isinstance(now, Progress) and now.loss is not None and now.step == 2:
            events.close()
            break
    kept, losses = (settings.place / "token.pt").read_bytes(), (settings.place / "losses.csv").read_bytes()
    with no_room(size), pytest.raises(OutputError, match=r"folder: .* could not be written"):
        learned(settings)
    assert (settings.place / "token.pt").read_bytes() == kept and not list(settings.place.glob(".negativa-*"))
    assert (settings.place / "losses.csv").read_bytes().startswith(losses)
    assert same(learned(settings).embedding, unbroken)


# ---- the article's procedure


def test_the_published_pictures() -> None:
    def asked(model: Path | str, **given: object) -> list[negativa.Recipe]:
        learn = Settings(Path("p"), "<wrong>", Path("wrong.safetensors"), str(model), seed=5)
        return wrong.recipes_of(wrong.Settings(learn, **given), negativa.load(str(model)))

    ours = asked("terrarium")
    assert len(ours) == 56 and len({one.seed for one in ours}) == 56
    assert {one.scale for one in ours} == {float(scale) for scale in range(7, 21)}
    assert {one.prompt for one in ours} == {
        "blurry, pixelated, jpeg artifacts, watermark, cropped, low contrast, oversaturated, deformed"
    }
    assert [one.scale for one in asked("terrarium", scales=(2, 4), each=1)] == [2, 3, 4]
    assert [one.scale for one in asked("terrarium", scales=(1.1, 4.1), each=1)] == pytest.approx([1.1, 2.1, 3.1, 4.1])


def test_the_published_list_is_literal_and_xl_emphasises_each_keyword(folder: Path, xl: Path) -> None:
    learn = Settings(Path("p"), "<wrong>", Path("wrong.safetensors"), str(folder))
    small = wrong.recipes_of(wrong.Settings(learn), negativa.load(str(folder)))
    assert len(small) == 56 and small[0].syntax == "plain"
    assert small[0].prompt.startswith("lowres, bad hands, text") and small[0].prompt.endswith(
        "((((ugly)))), (((duplicate))), ((morbid)), ((mutilated))"
    )
    large = wrong.recipes_of(wrong.Settings(replace(learn, model=str(xl))), negativa.load(str(xl)))
    assert len(large) == 78 and {one.scale for one in large} == {8, 9, 10, 11, 12, 13}
    assert large[0].prompt.startswith("(low quality)++++, bad hands, random text")
    assert large[-1].prompt.endswith("duplicate, (mutilated)++++") and large[0].syntax == "compel"


def test_the_whole_procedure_goes_on_where_it_stopped(settings: Settings, tmp_path: Path) -> None:
    def asked(out: Path) -> wrong.Settings:
        out.parent.mkdir()
        place = out.with_name("wrong-training")
        learn = replace(settings, out=out, pictures=place / "pictures", folder=place, templates="style")
        return wrong.Settings(learn, "blurry, hat", (2, 6), 1)

    whole, broken = asked(tmp_path / "a" / "wrong.safetensors"), asked(tmp_path / "b" / "wrong.safetensors")
    unbroken = list(wrong.run(whole))[-1]
    for now in (events := wrong.run(broken)):
        if now == Progress("pictures", 4, 5):
            events.close()
            break
    made = broken.learn.pictures / "0001.png"
    before = made.read_bytes()
    stamp = (broken.learn.pictures / "0000.png").stat().st_mtime_ns
    made.write_bytes(before[: len(before) // 2])
    end = list(wrong.run(broken))[-1]
    assert isinstance(end, Learned) and isinstance(unbroken, Learned) and same(end.embedding, unbroken.embedding)
    assert Image.open(made).tobytes() == Image.open(whole.learn.pictures / "0001.png").tobytes()
    assert (broken.learn.pictures / "0000.png").stat().st_mtime_ns > stamp  # made again beside its neighbours
    assert end.used == "in the style of <wrong>"
    with pytest.raises(InputError, match="was begun with prompt"):
        list(wrong.run(replace(broken, words="hat")))
    drawn = broken.learn.pictures / "begun.json"
    drawn.write_text(drawn.read_text().replace('"no"', '"bf16"'))
    with pytest.raises(InputError, match="pictures' was begun with precision 'bf16', now 'no' was given"):
        list(wrong.run(broken))


@pytest.mark.parametrize(
    ("changes", "rank", "sentence"),
    [
        ({"layout": "sdxl"}, None, "layout: 'sdxl' was given"),
        ({"layout": "kohya", "token": "<other>"}, None, "which the layout kohya names after its file"),
        ({"init": "\n"}, None, "init: .* was given; allowed: a word, or several"),
        ({"layout": "sdxl"}, 2, "layout: 'sdxl' was given for a LoRA"),
        ({"model": "x0"}, 2, "predicts x0; allowed: one that predicts noise or velocity"),
    ],
)
def test_what_cannot_be_learned_is_refused_before_the_first_picture(
    settings: Settings, tmp_path: Path, changes: dict[str, str], rank: int | None, sentence: str
) -> None:
    if "model" in changes:
        shutil.copytree(settings.model, tmp_path / "x0")
        file = tmp_path / "x0" / "scheduler" / "scheduler_config.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | {"prediction_type": "sample"}))
        changes = {"model": str(tmp_path / "x0")}
    learn = replace(settings, pictures=settings.place / "pictures", folder=settings.place, **changes)
    with pytest.raises(InputError, match=sentence):
        list(wrong.run(wrong.Settings(learn, "blurry, hat", (2, 3), 1, rank)))
    assert not settings.place.exists()


@pytest.mark.parametrize("rank", [None, 2])
def test_nothing_is_drawn_into_the_folder_of_another_run(settings: Settings, tmp_path: Path, rank: int | None) -> None:
    place = tmp_path / "lora-training"
    place.mkdir()
    (place / "begun.json").write_text('{"negative": "mustache"}')
    learn = replace(settings, out=tmp_path / "lora.safetensors", pictures=place / "pictures", folder=place, templates="style")
    with pytest.raises(InputError, match=r"lora-training' was begun with (token|word) None"):
        list(wrong.run(wrong.Settings(learn, "blurry, hat", (2, 6), 1, rank)))
    assert [file.name for file in place.iterdir()] == ["begun.json"]


def test_the_command_of_the_procedure(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def asked(*words: str) -> Result:
        given = ["train", "wrong", "--out", "bad.safetensors", "--model", str(folder), "--steps", "2", "--list", "blurry, hat"]
        given += [] if "--pictures" in words else ["--pictures", "2"]
        return CliRunner().invoke(app, [*given, "--validate", "0", *words])

    assert "scales: 'seven' was given; allowed: LOWEST:HIGHEST" in str(asked("--scales", "seven").exception)
    assert "pictures: 1 was given" in str(asked("--pictures", "1").exception)
    assert list(tmp_path.iterdir()) == []
    Path("bad.md").write_text("mine")
    refused = asked("--scales", "2:3", "--each", "1")
    assert "out: 'bad.md' is there already; allowed: a new name, or --overwrite" in str(refused.exception)
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("bad.md", "mine")]
    Path("bad.md").unlink()
    done = asked("--scales", "2:3", "--each", "1")
    assert done.exit_code == 0 and done.stdout.split() == ["bad.safetensors", "bad.md"]
    assert read(tmp_path / "bad.safetensors").name == "<wrong>"
    made = [negativa.read(file).recipe for file in sorted((tmp_path / "bad-training" / "pictures").glob("*.png"))]
    assert [(one.prompt, one.scale) for one in made] == [("blurry, hat", 2), ("blurry, hat", 3)]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"scales": (1, 3)}, "scales: 1:3 was given; allowed: LOWEST:HIGHEST, above 1"),
        ({"scales": (5, 3)}, "scales: 5:3 was given"),
        ({"each": 0}, "each: 0 was given"),
        ({"words": "@nothing"}, "there is no named negative 'nothing'"),
    ],
)
def test_bad_settings_of_the_procedure(settings: Settings, changes: dict, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        wrong.Settings(settings, **changes)


# ---- the placebo


def test_a_card_tells_what_token_and_placebo_do(settings: Settings, model: str, tmp_path: Path) -> None:
    end = learned(replace(settings, model=model, learning_rate=0.5))
    *drawn, last = compare(end, tmp_path / "compared", 2)
    assert [now.step for now in drawn] == [1, 2] and isinstance(last, Compared)
    card = last.card.read_text()
    assert "| measure | no negative | token | untrained |" in card and "- learning rate: 0.5" in card
    sharp = {one.measure.name: one for one in last.findings}["sharpness"]
    assert list(sharp.estimates) == ["no negative", "token", "untrained"]
    assert sharp.estimates["token"].value != sharp.estimates["untrained"].value
    assert "token, less untrained" in card and sharp.differences["untrained", "token"].n == 2
    with pytest.raises(InputError, match="pictures: 1 was given"):
        list(compare(end, tmp_path / "compared", 1))
    kept = load_file(tmp_path / "compared" / "wrong-untrained.safetensors")
    assert torch.equal(kept.get("clip_l", kept.get("emb_params")), end.untrained.vectors["clip_l"])


def test_arms_of_a_card_are_held_to_what_none_of_them_names() -> None:
    """The token and the list of words give the same pictures, without the hat that only the list names."""
    texts = {"no negative": None, "token": "<wrong>", "untrained": "<wrong-untrained>", "in words": "hat, blurry"}
    arms = {name: [negativa.Recipe("portrait of a man", text, seed=seed) for seed in range(4)] for name, text in texts.items()}
    drawn = {name: [painted(i, man=True, hat=name == "no negative") for i in range(4)] for name in arms}
    found = find(build("kept"), arms, drawn)
    assert found.estimates["token"] == found.estimates["in words"] and found.differences["in words", "token"].value == 0


# ---- the same as a LoRA


def test_a_lora_learns_the_word(settings: Settings, tmp_path: Path) -> None:
    out = tmp_path / "bad" / "wrong.safetensors"
    out.parent.mkdir()
    asked = replace(settings, out=out, validate=0, learning_rate=0.01)
    *_, unbroken = lora.run(replace(asked, folder=tmp_path / "unbroken", overwrite=True), 2)
    whole = load_file(out)
    out.unlink()
    for now in (events := lora.run(asked, 2)):
        if isinstance(now, Progress) and (now.part, now.step) == ("lora", 3):
            events.close()
            break
    *_, end = lora.run(asked, 2)
    assert isinstance(end, LearnedLora) and isinstance(unbroken, LearnedLora)
    assert all(torch.equal(value, whole[name]) for name, value in load_file(out).items())
    assert (end.name, end.used) == ("wrong", "a picture of wrong")
    studio = negativa.load(settings.model)
    trained, untrained = (studio.generate(negativa.Recipe("a man", steps=2, **arm)).latents for arm in end.arms(tmp_path))
    plain = studio.generate(negativa.Recipe("a man", end.used, steps=2)).latents
    assert torch.equal(untrained, plain) and not torch.allclose(trained, plain, atol=1e-4)
    for change, sentence in (
        ({"layout": "sdxl"}, "layout: 'sdxl' was given for a LoRA; allowed: diffusers, kohya"),
        ({"precision": "fp16", "device": "cpu"}, "precision: 'fp16' was given; allowed on a CPU: no, bf16"),
    ):
        with pytest.raises(InputError, match=sentence):
            list(lora.run(replace(asked, **change), 2))


LEARNED_TOGETHER = """
import sys
from pathlib import Path
from negativa.training.token import Settings, lora
pictures, out, model = sys.argv[1:]
settings = Settings(Path(pictures), "<wrong>", Path(out), model, steps=3, batch=2, device="cpu")
for event in lora.run(settings, 2):
    print(type(event).__name__)
"""


def test_of_several_processes_that_learn_a_lora_the_first_alone_writes_and_tells(settings: Settings, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    shared = os.environ | {"MASTER_ADDR": "localhost", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
    command = [
        sys.executable,
        "-c",
        LEARNED_TOGETHER,
        str(settings.pictures),
        str(tmp_path / "both.safetensors"),
        settings.model,
    ]
    started = [
        subprocess.Popen(command, env=shared | {"RANK": i, "LOCAL_RANK": i}, text=True, stdout=subprocess.PIPE)
        for i in ("0", "1")
    ]
    first, second = (process.communicate(timeout=300)[0].split() for process in started)
    assert [process.returncode for process in started] == [0, 0]
    assert first == ["Progress"] * 8 + ["LearnedLora"] and second == []
    with (tmp_path / "both-training" / "losses.csv").open() as table:
        assert [row["step"] for row in csv.DictReader(table)] == ["1", "2", "3"]
    list(lora.run(replace(settings, steps=3, validate=0), 2))
    alone, both = load_file(settings.out), load_file(tmp_path / "both.safetensors")
    assert any(not torch.equal(value, alone[name]) for name, value in both.items())  # who saw the pictures of both


def test_a_step_of_a_lora_follows_what_it_accumulates(settings: Settings) -> None:
    """The loss of the first step is then the mean over more pictures."""
    first: dict[int, float | None] = {}
    for count in (1, 2):
        asked = replace(settings, accumulate=count, folder=settings.out.with_name(f"{count}"), overwrite=True)
        events = lora.run(asked, 2)
        first[count] = next(now.loss for now in events if isinstance(now, Progress) and now.part == "lora")
        events.close()
    assert first[1] != first[2]
    with pytest.raises(InputError, match="begun with accumulate 2, now 3"):
        list(lora.run(replace(asked, accumulate=3), 2))


def test_the_command_of_the_lora(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def asked(*words: str) -> Result:
        given = ["train", "wrong", "--out", "bad.safetensors", "--model", str(folder), "--steps", "2", "--list", "blurry, hat"]
        return CliRunner().invoke(app, [*given, "--scales", "2:3", "--each", "1", "--pictures", "2", *words])

    assert "vectors: given with rank" in str(asked("--rank", "2", "--vectors", "2").exception)
    assert "rank: 0 was given" in str(asked("--rank", "0").exception)
    done = asked("--rank", "2")
    assert done.exit_code == 0 and done.stdout.split() == ["bad.safetensors", "bad.md"]
    card = Path("bad.md").read_text()
    assert card.startswith("# wrong\n") and "In words: blurry, hat" in card and "| untrained | in words |" in card
    assert negativa.load(str(folder)).generate(negativa.Recipe("a wrong", steps=1, loras="bad.safetensors")).image
