"""Picture files: what goes in comes out, others can read it, and no picture is ever lost or half written."""

from __future__ import annotations

import errno
import json
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.ExifTags import IFD, Base
from PIL.PngImagePlugin import PngInfo

import negativa
from negativa import InputError, NegativaError, Negative, OutputError, Receipt, Recipe
from negativa.language import infotext, pictures
from negativa.language.files import check_target

RECIPE = Recipe(
    'portrait of a "man", smiling\n8k: ünïcode 日本 😀',
    [Negative("mustache, glasses", 0.8, 0.1, 0.9), "hat"],
    seed=2**63 + 5,
    steps=12,
    scale=5.5,
    sampler="dpmpp_2m_karras",
    width=32,
    height=32,
    model="terrarium",
)
RECEIPT = Receipt(RECIPE, 36, 30, 1.5, ("a notice",), {"negativa": "0.1.0"}, model_hash="0123456789")
KINDS = [".png", ".jpg", ".jpeg", ".webp", ".PNG"]


def picture() -> Image.Image:
    return Image.radial_gradient("L").resize((32, 32)).convert("RGB")


@pytest.mark.parametrize("suffix", KINDS)
def test_write_and_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"man{suffix}"
    negativa.save(path, picture(), RECEIPT)
    made = negativa.read(path)
    assert made.recipe == RECIPE
    assert made.receipt == json.loads(RECEIPT.to_json())
    assert made.infotext.settings["Sampler"] == "DPM++ 2M Karras" and made.infotext.settings["Seed"] == str(RECIPE.seed)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_result_saves_itself_with_its_recipe(studio: negativa.Studio, tmp_path: Path) -> None:
    result = studio.generate(Recipe("a man", "hat", seed=3, steps=1))
    result.save(tmp_path / "man.png")
    assert negativa.read(tmp_path / "man.png").receipt == json.loads(result.receipt.to_json())
    assert Image.open(tmp_path / "man.png").tobytes() == result.image.tobytes()
    with pytest.raises(OutputError, match="is there already"):
        result.save(tmp_path / "man.png")
    result.save(tmp_path / "man.png", overwrite=True)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_an_independent_reader_understands_our_files(tmp_path: Path, suffix: str) -> None:
    from sd_parsers import ParserManager

    path = tmp_path / f"man{suffix}"
    receipt = Receipt(RECIPE.replace(prompt="a house, lawn", negative=["snow", "car"]), 1, 1, 1.0)
    negativa.save(path, picture(), receipt)
    read = ParserManager().parse(path)
    assert read is not None
    assert [prompt.value for prompt in read.prompts] == ["a house, lawn"]
    assert [prompt.value for prompt in read.negative_prompts] == ["snow, car"]
    (sampler,) = read.samplers
    assert sampler.name == "DPM++ 2M Karras" and str(sampler.parameters["seed"]) == str(RECIPE.seed)


def test_others_pictures(tmp_path: Path) -> None:
    text = (
        "a cat\nNegative prompt: dog\nSteps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7, Seed: 42, Size: 64x48"
    )
    notes = PngInfo()
    notes.add_text("parameters", text)
    picture().save(tmp_path / "other.png", pnginfo=notes)
    exif = Image.Exif()
    exif.get_ifd(IFD.Exif)[Base.UserComment] = b"UNICODE\0" + text.encode("utf-16-le")
    picture().save(tmp_path / "other.jpg", exif=exif)
    for name in ("other.png", "other.jpg"):
        made = negativa.read(tmp_path / name)
        assert made.receipt is None and made.parameters == text
        assert made.recipe == Recipe("a cat", "dog", 42, 20, 7.0, "dpmpp_2m_karras", width=64, height=48)


GRAPH = {
    "3": {
        "class_type": "KSampler",
        "inputs": {
            "seed": 42,
            "steps": 20,
            "cfg": 7.5,
            "sampler_name": "euler_ancestral",
            "scheduler": "normal",
            "denoise": 1.0,
            "model": ["10", 0],
            "positive": ["6", 0],
            "negative": ["7", 0],
            "latent_image": ["5", 0],
        },
    },
    "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "v1-5.safetensors"}},
    "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 48, "batch_size": 1}},
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a (cat:1.2)", "clip": ["10", 1]}},
    "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "dog", "clip": ["10", 1]}},
    "10": {
        "class_type": "LoraLoader",
        "inputs": {"lora_name": "fur.safetensors", "strength_model": 1.0, "model": ["4", 0], "clip": ["4", 1]},
    },
}
INVOKE = {
    "positive_prompt": "a cat++",
    "negative_prompt": "dog",
    "cfg_scale": 7.5,
    "steps": 20,
    "seed": 42,
    "scheduler": "euler_a",
    "width": 64,
    "height": 48,
    "model": {"model_name": "v1-5", "base_model": "sd-1"},
    "loras": [{"lora": {"model_name": "fur"}, "weight": 0.5}],
}
FOOOCUS = {
    "base_model": "xl",
    "base_model_hash": "abc",
    "guidance_scale": 7.5,
    "negative_prompt": "dog",
    "prompt": "a cat",
    "sampler": "euler_ancestral",
    "scheduler": "normal",
    "seed": 42,
    "steps": 20,
    "sharpness": 2,
}
NOVEL = {"steps": 20, "sampler": "k_euler_ancestral", "seed": 42, "scale": 7.5, "uc": "dog", "strength": 0.7, "noise": 0.2}
SWARM = {
    "prompt": "a cat",
    "negativeprompt": "dog",
    "model": "xl",
    "seed": 42,
    "steps": 20,
    "cfgscale": 7.5,
    "sampler": "euler_ancestral",
    "scheduler": "normal",
    "width": 64,
    "height": 48,
    "loras": ["fur"],
}
OTHERS = {  # program -> text chunks of the picture, prompt, syntax, and what has no place in a recipe
    "ComfyUI": ({"prompt": json.dumps(GRAPH)}, "a (cat:1.2)", "comfy", ["Model", "LoRAs"]),
    "InvokeAI": ({"invokeai_metadata": json.dumps(INVOKE)}, "a cat++", "compel", ["Model", "LoRAs"]),
    "Fooocus": ({"parameters": json.dumps(FOOOCUS)}, "a cat", "a1111", ["sharpness", "Model"]),
    "NovelAI": (
        {"Description": "a cat", "Source": "Stable Diffusion 1D44365E", "Comment": json.dumps(NOVEL)},
        "a cat",
        "a1111",
        ["strength", "noise", "Model"],
    ),
    "SwarmUI": ({"parameters": json.dumps({"sui_image_params": SWARM})}, "a cat", "a1111", ["Model", "LoRAs"]),
}


@pytest.mark.parametrize("program", OTHERS)
def test_what_other_programs_say_in_their_own_ways(tmp_path: Path, program: str) -> None:
    chunks, prompt, syntax, unused = OTHERS[program]
    notes = PngInfo()
    for name, text in chunks.items():
        notes.add_text(name, text)
    picture().resize((64, 48)).save(tmp_path / "other.png", pnginfo=notes)
    made = negativa.read(tmp_path / "other.png")
    assert made.receipt is None and made.infotext.settings["Program"] == program
    assert made.recipe == Recipe(prompt, "dog", 42, 20, 7.5, "euler_a", width=64, height=48, syntax=syntax)
    assert sorted(made.infotext.unused()) == sorted(unused)
    assert made.infotext.settings.get("LoRAs", "fur").removesuffix(".safetensors") == "fur"
    assert made.infotext.settings["Model"].removesuffix(".safetensors") in ("v1-5", "xl", "Stable Diffusion")


def test_a_graph_without_a_lora_names_its_model_once(tmp_path: Path) -> None:
    sampler = {**GRAPH["3"], "inputs": GRAPH["3"]["inputs"] | {"model": ["4", 0]}}
    notes = PngInfo()
    notes.add_text("prompt", json.dumps({"3": sampler, "4": GRAPH["4"], "6": GRAPH["6"], "7": GRAPH["7"]}))
    picture().save(tmp_path / "other.png", pnginfo=notes)
    made = negativa.read(tmp_path / "other.png")
    assert made.infotext.settings["Model"] == "v1-5.safetensors" and made.infotext.unused() == ["Model"]
    assert (made.recipe.width, made.recipe.height) == (32, 32)  # those of the file, where the graph does not say


VALUES = st.recursive(st.none() | st.integers() | st.text(), lambda one: st.lists(one) | st.dictionaries(st.text(), one))


@settings(deadline=None)
@given(st.text(), VALUES)
def test_metadata_that_were_edited_end_in_a_sentence(tmp_path_factory, text: str, value: object) -> None:
    """Whatever stands in the place of what they write."""
    path = tmp_path_factory.mktemp("others") / "other.png"
    inputs = dict.fromkeys(("steps", "cfg", "sampler_name", "positive", "model"), value)
    graph = {"1": {"class_type": "KSampler", "inputs": inputs}}
    for chunks in ({"prompt": json.dumps(graph)}, {"parameters": json.dumps({"sui_image_params": value})}, {"prompt": text}):
        notes = PngInfo()
        for name, one in chunks.items():
            notes.add_itxt(name, one)
        picture().save(path, pnginfo=notes)
        with suppress(NegativaError):
            assert isinstance(negativa.read(path).recipe, Recipe)


TEXTS = {  # text -> prompt, negative, number of settings; known answers of the format
    "Steps: 1, Sampler: Euler a, CFG scale: 3": ("", "", 3),
    "Negative prompt: dog\nSteps: 1, Sampler: Euler a, CFG scale: 3": ("", "dog", 3),
    "cat\nNegative prompt: dog": ("cat", "dog", 0),
    "a Negative prompt: b\nSteps: 1, Seed: 2, Size: 3x4": ("a Negative prompt: b", "", 3),
    "one\n\ntwo\nNegative prompt: x\ny\nSteps: 1, Seed: 2, Size: 3x4": ("one\n\ntwo", "x\ny", 3),
    "cat\nNegative prompt:\nSteps: 1, Seed: 2, Size: 3x4": ("cat", "", 3),
    "cat\nSteps: 1, Seed: 2": ("cat\nSteps: 1, Seed: 2", "", 0),
    "": ("", "", 0),
    "x\nSteps: 1, Seed: 2, Size: " + "9" * 5000 + "x3": ("x", "", 3),
}


@pytest.mark.parametrize("text", TEXTS)
def test_known_texts(text: str) -> None:
    read = infotext.read(text)
    assert (read.prompt, read.negative, len(read.settings)) == TEXTS[text]


@pytest.mark.parametrize("value", ["a, b", "a:b", "a\nb", 'say "hi"', 'say "hi", ok', "a\\b", "a\\b, c", "plain"])
def test_values_survive_quoting(value: str) -> None:
    receipt = Receipt(RECIPE.replace(prompt="x", negative=None, model=value), 1, 1, 1.0)
    assert infotext.read(infotext.write(receipt)).settings["Model"] == value


@pytest.mark.parametrize(
    ("written", "syntax", "emphasis", "unused"),
    [
        ("None", "plain", None, []),
        ("No norm", "a1111", "no-norm", []),
        ("Original", "a1111", None, []),
        ("Ignore", "a1111", None, ["Emphasis"]),
    ],
)
def test_emphasis(written: str, syntax: str, emphasis: str | None, unused: list[str]) -> None:
    read = infotext.read(f"a (cat:1.2)\nSteps: 20, Sampler: Euler, Seed: 4, Emphasis: {written}")
    assert (read.recipe().syntax, read.recipe().emphasis, read.unused()) == (syntax, emphasis, unused)
    ours = infotext.read(infotext.write(Receipt(RECIPE.replace(syntax=syntax, emphasis=emphasis), 1, 1, 1.0)))
    assert (ours.recipe().syntax, ours.recipe().emphasis) == (syntax, emphasis)


def test_simple_is_the_even_schedule_of_flux_alone() -> None:
    text = "a cat\nSteps: 20, Sampler: {}, Schedule type: Simple, Seed: 4"
    assert infotext.read(text.format("Euler") + ", Distilled CFG Scale: 3.5").recipe().sampler == "euler"
    for refused in (text.format("Euler"), text.format("DPM++ 2M") + ", Distilled CFG Scale: 3.5"):
        with pytest.raises(InputError, match="Simple' stands in the picture"):
            infotext.read(refused).recipe()


@given(st.text(max_size=200))
def test_the_parser_never_fails(text: str) -> None:
    infotext.read(text)


@given(st.from_regex(r"[\w ,()]{1,30}", fullmatch=True), st.from_regex(r"[\w ,()]{0,30}", fullmatch=True))
def test_prompts_survive(prompt: str, negative: str) -> None:
    recipe = Recipe(prompt, negative, width=8, height=8)
    read = infotext.read(infotext.write(Receipt(recipe, 1, 1, 1.0))).recipe()
    assert read.prompt == prompt.strip()
    assert [one.condition for one in read.negative] == [one.condition.strip() for one in recipe.negative]


def test_no_picture_is_written_over_another(tmp_path: Path) -> None:
    path = tmp_path / "man.png"
    path.write_text("precious")
    with pytest.raises(OutputError, match=r"man\.png.*there already"):
        negativa.save(path, picture(), RECEIPT)
    assert path.read_text() == "precious"
    negativa.save(path, picture(), RECEIPT, overwrite=True)
    assert negativa.read(path).recipe == RECIPE


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Image.Image, file: BinaryIO, *args: object, **options: object) -> None:
        file.write(b"\x89PNG half of it")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(OutputError, match="could not be written: No space left"):
        negativa.save(tmp_path / "man.png", picture(), RECEIPT)
    assert list(tmp_path.iterdir()) == []


def test_unwritable_targets_are_refused_before_the_work(tmp_path: Path) -> None:
    for path, error, words in (
        (tmp_path / "man.gif", InputError, r"man\.gif.*\.png"),
        (tmp_path / "none" / "man.png", OutputError, "no folder"),
        (tmp_path, InputError, "out"),
        (tmp_path / ("x" * 300 + ".png"), OutputError, "File name too long"),
    ):
        with pytest.raises(error, match=words):
            check_target("out", path, pictures.FORMATS)


def test_what_is_no_picture(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("not a picture")
    whole = tmp_path / "whole.png"
    negativa.save(whole, picture(), RECEIPT)
    pixels = whole.read_bytes().index(b"IDAT")
    (tmp_path / "cut.png").write_bytes(whole.read_bytes()[: pixels + 20])
    picture().save(tmp_path / "silent.png")
    notes = PngInfo()
    notes.add_text("parameters", '{"sui_image_params": {}}')
    picture().save(tmp_path / "json.png", pnginfo=notes)
    picture().save(tmp_path / "exif.png", exif=b"Exif\0\0II+\0\0\0\0\0")
    for name, words in (
        ("missing.png", "No such file"),
        ("text.png", "no picture"),
        ("cut.png", "no picture, or a damaged one"),
        ("exif.png", "no picture, or a damaged one"),
        ("silent.png", "does not say what made it"),
        ("json.png", "another program's JSON"),
    ):
        with pytest.raises(InputError, match=words):
            negativa.read(tmp_path / name)


@pytest.mark.parametrize("chunk", ['"hello"', "3", '{"recipe": 3}', "[]", "null"])
def test_a_damaged_description_falls_back_to_the_text(tmp_path: Path, chunk: str) -> None:
    exif = Image.Exif()
    exif[Base.ImageDescription] = f'{{"negativa": {chunk}}}'
    exif.get_ifd(IFD.Exif)[Base.UserComment] = b"UNICODE\0" + "a cat\nSteps: 20, Seed: 4, Size: 8x8".encode("utf-16-be")
    picture().save(tmp_path / "x.jpg", exif=exif)
    assert negativa.read(tmp_path / "x.jpg").recipe.seed == 4


def test_a_text_too_long_for_the_format_is_said_and_nothing_is_left(tmp_path: Path) -> None:
    receipt = Receipt(RECIPE.replace(prompt="word " * 20_000), 1, 1, 1.0)
    with pytest.raises(OutputError, match="could not be written"):
        negativa.save(tmp_path / "x.jpg", picture(), receipt)
    assert list(tmp_path.iterdir()) == []
    negativa.save(str(tmp_path / "x.png"), picture(), receipt)
    assert negativa.read(tmp_path / "x.png").recipe == receipt.recipe


def test_the_parser_is_quick_with_long_lines() -> None:
    infotext.read("word " * 100_000)


@pytest.mark.parametrize("chunk", ["[]", "{", '{"recipe": 3}', "null"])
def test_a_damaged_chunk_of_ours_falls_back_to_the_text(tmp_path: Path, chunk: str) -> None:
    notes = PngInfo()
    notes.add_text("parameters", "a cat\nSteps: 20, Sampler: Euler a, Seed: 4, Size: 8x8")
    notes.add_itxt(pictures.CHUNK, chunk)
    picture().save(tmp_path / "x.png", pnginfo=notes)
    assert negativa.read(tmp_path / "x.png").recipe.seed == 4
