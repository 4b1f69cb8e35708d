"""Embedding files: every layout read bit for bit, nothing in them run, and the encoder given what they hold."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor
from typer.testing import CliRunner, Result

import negativa
from negativa import InputError, OutputError, Recipe
from negativa.apps.cli.main import app
from negativa.denoisers.checkpoints import BUILT_IN
from negativa.denoisers.embeddings import Embedding, Shelf, convert, merge, read, write
from tests import embedding_files as files
from tests.conftest import tiny_pipeline

torch.manual_seed(3)
ONE, THREE, WIDE = torch.randn(1, 768), torch.randn(3, 768), torch.randn(3, 1280)
DAMAGE = 40  # files damaged at random places, of each layout


def same(found: Tensor, expected: Tensor) -> bool:
    return found.dtype == expected.dtype and found.shape == expected.shape and torch.equal(found, expected)


LAYOUTS: dict[str, tuple[str, Callable[[Path, Tensor], Path], str, str]] = {
    "AUTOMATIC1111": ("neg.pt", files.automatic, "a1111", "neg"),
    "AUTOMATIC1111 .bin": ("neg.bin", files.automatic, "a1111", "neg"),
    "original": ("neg.pt", files.original, "a1111", "neg"),
    "before zip": ("neg.pt", lambda path, vectors: files.original(path, vectors, zipped=False), "a1111", "neg"),
    "kohya": ("neg.safetensors", files.kohya, "kohya", "neg"),
    "diffusers": ("learned_embeds.safetensors", files.diffusers, "diffusers", "<wrong>"),
    "diffusers .bin": ("learned_embeds.bin", files.diffusers, "diffusers", "<wrong>"),
    "nameless": ("neg.bin", lambda path, vectors: files.diffusers(path, vectors, "*"), "diffusers", "neg"),
    "text of a picture": ("card.png", files.text_picture, "a1111", "shown"),
    "pixels of a picture": ("card.png", files.pixel_picture, "a1111", "shown"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("vectors", [ONE, THREE])
def test_every_layout_is_read_bit_for_bit(layout: str, vectors: Tensor, tmp_path: Path) -> None:
    file, make, kind, name = LAYOUTS[layout]
    path = make(tmp_path / file, vectors)
    embedding = read(path)
    assert same(embedding.vectors["clip_l"], vectors) and list(embedding.vectors) == ["clip_l"]
    assert (embedding.name, embedding.layout, embedding.count) == (name, kind, len(vectors))
    assert embedding.family == "Stable Diffusion 1" and embedding.notices == ()
    assert embedding.hash == hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    assert not embedding.vectors["clip_l"].requires_grad


@pytest.mark.parametrize("suffix", [".safetensors", ".bin"])
@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_one_vector_in_one_dimension_and_other_precisions(suffix: str, kind: torch.dtype, tmp_path: Path) -> None:
    vector = torch.randn(1024).to(kind)
    embedding = read(files.diffusers(tmp_path / f"x{suffix}", vector))
    assert same(embedding.vectors["clip_h"], vector[None]) and embedding.family == "Stable Diffusion 2"


def test_a_view_into_a_larger_table_is_read_at_its_place(tmp_path: Path) -> None:
    table = torch.randn(20, 768)
    assert same(read(files.diffusers(tmp_path / "x.bin", table[5:8])).vectors["clip_l"], table[5:8])
    columns = torch.randn(768, 20)
    assert same(read(files.diffusers(tmp_path / "x.bin", columns.T[4:6])).vectors["clip_l"], columns.T[4:6])


def test_stable_diffusion_xl_in_one_file_and_in_two(tmp_path: Path) -> None:
    both = read(files.sdxl(tmp_path / "xl.safetensors", THREE, WIDE))
    assert (both.family, both.layout, both.count, both.widths) == ("Stable Diffusion XL", "sdxl", 3, (768, 1280))
    files.diffusers(tmp_path / "learned_embeds.safetensors", THREE, "<xl>")
    files.diffusers(tmp_path / "learned_embeds_2.safetensors", WIDE, "<xl>")
    pair = read(tmp_path / "learned_embeds.safetensors")
    assert (pair.family, pair.layout, pair.name) == ("Stable Diffusion XL", "diffusers pair", "<xl>")
    for embedding in (both, pair):
        assert same(embedding.vectors["clip_l"], THREE) and same(embedding.vectors["clip_g"], WIDE)
    assert {one.layout for one in Shelf(tmp_path).embeddings} == {"sdxl", "diffusers pair"}
    files.diffusers(tmp_path / "learned_embeds_2.safetensors", WIDE, "<another>")
    assert read(tmp_path / "learned_embeds.safetensors").family == "Stable Diffusion 1"


def test_a_list_of_tables_is_joined(tmp_path: Path) -> None:
    torch.save([{"a": ONE}, {"b": THREE[0]}], tmp_path / "list.pt")
    assert same(read(tmp_path / "list.pt").vectors["clip_l"], torch.cat([ONE, THREE[:1]]))
    torch.save([{"g": WIDE}, {"l": THREE}], tmp_path / "list.pt")
    assert read(tmp_path / "list.pt").family == "Stable Diffusion XL"


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    torch.save({"string_to_param": {"first": ONE, "second": THREE}}, tmp_path / "two.pt")
    two = read(tmp_path / "two.pt")
    assert same(two.vectors["clip_l"], ONE) and two.notices == ("of its 2 terms the first, 'first', is read",)
    save_file({"clip_l": THREE, "clip_g": WIDE, "t5xxl": torch.randn(3, 4096)}, tmp_path / "three.safetensors")
    (notice,) = read(tmp_path / "three.safetensors").notices
    assert "'t5xxl'" in notice and "left out" in notice


def test_families_by_width(tmp_path: Path) -> None:
    assert read(files.kohya(tmp_path / "x.safetensors", torch.ones(2, 32))).family == "unknown family, width 32"
    assert read(BUILT_IN["terrarium"] / "tokens" / "wrong.safetensors").family == "terrarium"


# ---- what is refused


class Trap:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return open, (str(self.path), "w")


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("suffix", [".pt", ".bin"])
def test_a_pickle_with_code_is_refused_and_not_run(suffix: str, protocol: int, tmp_path: Path) -> None:
    trap, path = tmp_path / "sprung", tmp_path / f"x{suffix}"
    values = {"<x>": THREE, "trap": Trap(trap)}
    torch.save(values, path, pickle_protocol=protocol)
    raw = path.read_bytes()
    torch.save(values, path, pickle_protocol=protocol, _use_new_zipfile_serialization=False)
    for one in (raw, path.read_bytes(), pickle.dumps({"trap": Trap(trap)}, protocol)):
        path.write_bytes(one)
        with pytest.raises(InputError, match=r"open', which is not run" if protocol else "x"):
            read(path)
    assert not trap.exists()
    pickle.loads(pickle.dumps(Trap(trap))).close()
    assert trap.exists()  # the trap works


def zipped(pickled: bytes, *numbers: bytes) -> bytes:
    """What torch.save writes, around a pickle by hand."""
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data.pkl", pickled)
        for i, one in enumerate(numbers):
            archive.writestr(f"x/data/{i}", one)
    return raw.getvalue()


def described(shape: tuple[int, ...], stride: tuple[int, ...], offset: int = 0, kind: str = "FloatStorage") -> bytes:
    """A pickle of {"<x>": tensor} whose tensor claims what it likes of the storage 0."""

    def numbers(values: tuple[int, ...]) -> bytes:
        return b"(" + b"".join(b"I%d\n" % value for value in values) + b"t"

    storage = b"((X\x07\0\0\0storagectorch\n" + kind.encode() + b"\nX\x01\0\0\x000X\x03\0\0\0cpuI4\ntQ"
    tensor = (
        b"ctorch._utils\n_rebuild_tensor_v2\n" + storage + b"I%d\n" % offset + numbers(shape) + numbers(stride) + b"\x89}tR"
    )
    return b"\x80\x02}X\x03\0\0\0<x>" + tensor + b"s."


def chunk(words: object) -> bytes:
    notes, raw = PngInfo(), io.BytesIO()
    notes.add_text("sd-ti-embedding", base64.b64encode(json.dumps(words).encode()).decode())
    Image.new("RGB", (8, 8)).save(raw, "PNG", pnginfo=notes)
    return raw.getvalue()


def hidden(packed: bytes, tmp: Path) -> bytes:
    return files.hide(tmp / "hidden.png", packed).read_bytes()


def tensors(values: object, tmp: Path) -> bytes:
    path = tmp / "made"
    save_file(values, path) if isinstance(values, dict) else torch.save(values[0], path)
    return path.read_bytes()


CLAIM = b'{"emb_params":{"dtype":"F32","shape":[700000,768],"data_offsets":[0,2150400000]}}'
BAD: dict[str, tuple[str, Callable[[Path], bytes], str]] = {
    "kind of file": ("x.ckpt", lambda tmp: b"", "allowed: a file that ends in .safetensors, .pt"),
    "nothing in it": ("x.pt", lambda tmp: b"", "is damaged, or no .pt file"),
    "truncated": ("x.safetensors", lambda tmp: tensors({"emb_params": THREE}, tmp)[:-100], "is damaged, or no .safetensors"),
    "truncated zip": ("x.pt", lambda tmp: tensors([{"<x>": THREE}], tmp)[:-100], "is damaged, or no .pt file"),
    "2 GB header": ("x.safetensors", lambda tmp: struct.pack("<Q", 2**31) + b"{}", "is damaged"),
    "2 GB tensor": ("x.safetensors", lambda tmp: struct.pack("<Q", len(CLAIM)) + CLAIM, "is damaged"),
    "no picture": ("x.png", lambda tmp: b"picture", "could not be read: it is damaged"),
    "empty table": ("x.pt", lambda tmp: tensors([{}], tmp), "holds no vectors"),
    "no tensors": ("x.pt", lambda tmp: tensors([{"a": 1}], tmp), r"holds 1 values \('a'\), which is no layout"),
    "no table": ("x.pt", lambda tmp: tensors([THREE], tmp), "holds no vectors"),
    "no terms": ("x.pt", lambda tmp: tensors([{"string_to_param": {}}], tmp), "no terms in 'string_to_param'"),
    "a LoRA": ("x.safetensors", lambda tmp: tensors({"lora.down": ONE, "lora.up": THREE}, tmp), "holds 2 values"),
    "rank 3": ("x.safetensors", lambda tmp: tensors({"emb_params": ONE[None]}, tmp), "shape 1x1x768; allowed: one or more vec"),
    "one number": ("x.pt", lambda tmp: tensors([{"<x>": torch.tensor(1.0)}], tmp), "of shape one number"),
    "no vectors": ("x.safetensors", lambda tmp: tensors({"emb_params": ONE[:0]}, tmp), "of shape 0x768"),
    "whole numbers": ("x.safetensors", lambda tmp: tensors({"emb_params": ONE.long()}, tmp), "of type int64"),
    "not a number": ("x.safetensors", lambda tmp: tensors({"emb_params": ONE * torch.nan}, tmp), "infinite or no numbers"),
    "infinite": ("x.pt", lambda tmp: tensors([{"<x>": ONE / 0}], tmp), "infinite or no numbers"),
    "uneven": (
        "x.safetensors",
        lambda tmp: tensors({"clip_l": ONE, "clip_g": WIDE}, tmp),
        "1 vectors for clip_l and 3 vectors",
    ),
    "three widths": ("x.pt", lambda tmp: tensors([[{"a": ONE}, {"b": ONE[:, :5]}, {"c": WIDE}]], tmp), "vectors of 3 widths"),
    "too large": ("x.safetensors", lambda tmp: tensors({"emb_params": torch.zeros(5500, 768)}, tmp), "at most 16 MB"),
    "claims more": ("x.pt", lambda tmp: zipped(described((2, 768), (768, 1)), bytes(4)), "1536 numbers where 1 are stored"),
    "repeats itself": ("x.pt", lambda tmp: zipped(described((10**12, 768), (0, 0)), bytes(4)), "where 1 are stored"),
    "wraps around": ("x.pt", lambda tmp: zipped(described((2, 2), (2**61, 1)), bytes(64)), "where 16 are stored"),
    "steps back": ("x.pt", lambda tmp: zipped(described((2, 2), (-1, 1), 1), bytes(64)), "a tensor that cannot be"),
    "starts before": ("x.pt", lambda tmp: zipped(described((2, 2), (2, 1), -4), bytes(64)), "a tensor that cannot be"),
    "odd numbers": ("x.pt", lambda tmp: zipped(described((1, 2), (2, 1), 0, "CharStorage"), bytes(64)), "'torch.CharStorage'"),
    "deep keys": ("x.pt", lambda tmp: zipped(b"\x80\x02})" + b"\x85" * 9000 + b"K\x01s."), "neither text nor numbers"),
    "endless": ("x.pt", lambda tmp: zipped(b"\x80\x02" + b"N0" * 10**6 + b"."), "more than 10000 instr|instruction POP"),
    "no embedding": ("x.png", lambda tmp: chunk({"name": "x"}), "which is no layout of an embedding"),
    "words": ("x.png", lambda tmp: chunk({"string_to_param": {"*": {"TORCHTENSOR": ["a"]}}}), "is damaged"),
    "ragged": ("x.png", lambda tmp: chunk({"string_to_param": {"*": {"TORCHTENSOR": [[1], [1, 2]]}}}), "is damaged"),
    "numbers alone": ("x.png", lambda tmp: chunk([1, 2]), "vectors of 0 widths"),
    "pixel bomb": ("x.png", lambda tmp: hidden(zlib.compress(bytes(2**24 + 9), 9), tmp), "more than the 16 MB allowed"),
    "pixels of noise": ("x.png", lambda tmp: hidden(bytes(range(48)), tmp), "holds no embedding"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files_are_refused_in_one_sentence(case: str, tmp_path: Path) -> None:
    name, make, said = BAD[case]
    path = tmp_path / name
    path.write_bytes(make(tmp_path))
    with pytest.raises(InputError, match=said) as caught:
        read(path)
    assert str(caught.value).startswith(f"embedding: {str(path)!r} ") and "\n" not in str(caught.value)


def test_sizes_are_bounded_before_anything_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("negativa.denoisers.embeddings.files.LARGEST", 2**20)
    path = tmp_path / "x.pt"
    path.write_bytes(zipped(described((1, 2), (2, 1)), bytes(2**20 + 1)))
    with pytest.raises(InputError, match="unpacks to more than the 1 MB allowed"):
        read(path)
    path.write_bytes(bytes(2**20 + 1))
    with pytest.raises(InputError, match="is larger than 1 MB, which no embedding is"):
        read(path)


def test_the_tensor_by_hand_is_a_good_one_but_for_what_it_claims(tmp_path: Path) -> None:
    (tmp_path / "x.pt").write_bytes(zipped(described((2, 2), (2, 1), 1), struct.pack("<5f", *range(5))))
    assert read(tmp_path / "x.pt").vectors["clip_l"].tolist() == [[1, 2], [3, 4]]


def test_no_such_file_and_a_picture_without_an_embedding(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.pt", tmp_path):
        with pytest.raises(InputError, match="is no file here"):
            read(path)
    with pytest.raises(InputError, match="embeddings: there is no"):
        Shelf(tmp_path / "absent")
    for colour in ("black", "teal"):
        Image.new("RGB", (30, 20), colour).save(tmp_path / "plain.png")
        with pytest.raises(InputError, match="holds no embedding; allowed: a PNG with a 'sd-ti-embedding' text"):
            read(tmp_path / "plain.png")
    shelf = Shelf(tmp_path)
    assert not shelf.embeddings and not shelf.unreadable and not shelf.missing("a plain cup")


def refused_or_read(path: Path, raw: bytes) -> None:
    path.write_bytes(raw)
    try:
        embedding = read(path)
    except InputError:
        return
    assert embedding.count and embedding.family


SUFFIXES = (".safetensors", ".pt", ".bin", ".png", ".webp")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(suffix=st.sampled_from(SUFFIXES), raw=st.binary(max_size=300))
@example(suffix=".pt", raw=b"\x80\x02}.")
@example(suffix=".safetensors", raw=struct.pack("<Q", 2) + b"{}")
def test_random_bytes_never_crash(suffix: str, raw: bytes, tmp_path: Path) -> None:
    refused_or_read(tmp_path / f"x{suffix}", raw)
    if suffix in (".pt", ".bin"):
        refused_or_read(tmp_path / f"x{suffix}", zipped(raw))
        refused_or_read(tmp_path / f"x{suffix}", zipped(described((2, 2), (2, 1))[: len(raw)] + raw, raw))


@settings(max_examples=DAMAGE, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(layout=st.sampled_from(list(LAYOUTS)), place=st.floats(0, 1), value=st.integers(0, 255), length=st.integers(0, 4))
def test_damaged_files_never_crash(layout: str, place: float, value: int, length: int, tmp_path: Path) -> None:
    file, make, _, _ = LAYOUTS[layout]
    raw = make(tmp_path / file, ONE[:, :8]).read_bytes()
    at = int(place * len(raw))
    refused_or_read(tmp_path / file, raw[:at] + bytes([value]) * length + raw[at + 1 :])
    refused_or_read(tmp_path / file, raw[:at])


# ---- written and converted


@pytest.mark.parametrize("layout", LAYOUTS)
def test_converting_keeps_the_vectors_bit_for_bit(layout: str, tmp_path: Path) -> None:
    file, make, _, _ = LAYOUTS[layout]
    source = make(tmp_path / file, THREE)
    convert(source, tmp_path / "one.safetensors")
    assert list(load_file(tmp_path / "one.safetensors")) == ["emb_params"]
    convert(tmp_path / "one.safetensors", tmp_path / "two.safetensors", "diffusers")
    assert list(load_file(tmp_path / "two.safetensors")) == ["<one>"]
    for path in (tmp_path / "one.safetensors", tmp_path / "two.safetensors"):
        assert same(next(iter(load_file(path).values())), THREE) and same(read(path).vectors["clip_l"], THREE)


def test_converting_keeps_what_the_file_says_of_itself(tmp_path: Path) -> None:
    write(read(files.kohya(tmp_path / "one.safetensors", ONE)), tmp_path / "two.safetensors", notes={"steps": "500"})
    convert(tmp_path / "two.safetensors", tmp_path / "three.safetensors", "diffusers")
    with safe_open(tmp_path / "three.safetensors", "pt") as file:
        assert file.metadata() == {"format": "pt", "steps": "500"}


def test_two_encoders_stay_two(tmp_path: Path) -> None:
    both = read(files.sdxl(tmp_path / "xl.safetensors", THREE.half(), WIDE.half()))
    write(both, tmp_path / "again.safetensors")
    again = load_file(tmp_path / "again.safetensors")
    assert same(again["clip_l"], THREE.half()) and same(again["clip_g"], WIDE.half()) and len(again) == 2
    with pytest.raises(
        InputError, match="layout: 'kohya' was given for vectors of clip_l and clip_g; allowed: sdxl, diffusers"
    ):
        write(both, tmp_path / "new.safetensors", "kohya")


def test_what_cannot_be_written(tmp_path: Path) -> None:
    one = read(files.kohya(tmp_path / "one.safetensors", ONE))
    with pytest.raises(InputError, match=r"embedding: .*x\.pt. was given; allowed: a file that ends in \.safetensors"):
        write(one, tmp_path / "x.pt")
    with pytest.raises(InputError, match="did you mean 'kohya'"):
        write(one, tmp_path / "x.safetensors", "koyha")
    with pytest.raises(InputError, match="layout: 'sdxl' was given for vectors of clip_l; allowed: kohya, diffusers"):
        write(one, tmp_path / "x.safetensors", "sdxl")
    with pytest.raises(OutputError, match="is there already; allowed: a new name, or --overwrite"):
        write(one, tmp_path / "one.safetensors")
    with pytest.raises(OutputError, match="embedding: there is no folder"):
        write(one, tmp_path / "absent" / "x.safetensors")
    write(one, tmp_path / "one.safetensors", "diffusers", overwrite=True)
    assert read(tmp_path / "one.safetensors").layout == "diffusers"
    assert [path.name for path in tmp_path.iterdir()] == ["one.safetensors"]


# ---- words


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    (tmp_path / "more").mkdir()
    files.kohya(tmp_path / "EasyNegative.safetensors", THREE)
    files.automatic(tmp_path / "more" / "bad-hands-5.pt", ONE)
    files.automatic(tmp_path / "more" / "bad.pt", ONE)
    files.diffusers(tmp_path / "learned_embeds.bin", ONE, "<wrong>")
    files.text_picture(tmp_path / "more" / "card.png", ONE, "shown")
    Image.new("RGB", (30, 20), "teal").save(tmp_path / "EasyNegative.png")
    Image.new("RGB", (30, 20), "teal").save(tmp_path / "more" / "other.preview.png")
    (tmp_path / "broken.pt").write_bytes(b"broken")
    (tmp_path / "notes.txt").write_text("notes")
    return Shelf(tmp_path)


def test_a_shelf_finds_words_and_says_what_it_could_not_read(shelf: Shelf) -> None:
    assert sorted(shelf.names()) == ["<wrong>", "EasyNegative", "bad", "bad-hands-5", "shown"]
    for word in ("EasyNegative", "easynegative", "<EASYNEGATIVE>", " EasyNegative.safetensors"):
        found = shelf.find(word)
        assert found is not None and found.name == "EasyNegative"
    for word in ("<wrong>", "wrong", "learned_embeds", "<learned_embeds>", "learned_embeds.bin"):
        found = shelf.find(word)
        assert found is not None and found.name == "<wrong>"
    assert shelf.find("card") is shelf.find("<shown>") and shelf.find("card") is not None
    assert shelf.find("absent") is None and shelf.find("") is None
    ((path, why),) = shelf.unreadable.items()
    assert path.name == "broken.pt" and "is damaged, or no .pt file" in why


def test_two_of_one_name_are_told_apart_by_their_files(tmp_path: Path) -> None:
    files.automatic(tmp_path / "same.pt", ONE)
    files.kohya(tmp_path / "same.safetensors", THREE)
    shelf = Shelf(tmp_path / "same.safetensors", tmp_path / "same.pt")
    counts = {word: found.count for word in ("same", "same.pt", "same.safetensors") if (found := shelf.find(word))}
    assert counts == {"same": 3, "same.pt": 1, "same.safetensors": 3}


@pytest.mark.parametrize(
    ("text", "expected", "names"),
    [
        ("a man", "a man", []),
        ("a man, easynegative", "a man, <EasyNegative> <EasyNegative>_1 <EasyNegative>_2", ["EasyNegative"]),
        ("(EasyNegative:1.2)", "(<EasyNegative> <EasyNegative>_1 <EasyNegative>_2:1.2)", ["EasyNegative"]),
        ("uneasynegative, EasyNegatives", "uneasynegative, EasyNegatives", []),
        ("bad-hands-5, bad", "<bad-hands-5>, <bad>", ["bad-hands-5", "bad"]),
        ("badly, bad-tempered, <badge>", "badly, bad-tempered, <badge>", []),
        ("what is wrong with it", "what is wrong with it", []),
        ("in the style of <wrong>", "in the style of <wrong>", ["<wrong>"]),
        ("learned_embeds <WRONG>", "<wrong> <wrong>", ["<wrong>"]),
        ("bad.pt", "<bad>", ["bad"]),
    ],
)
def test_a_text_is_written_with_tokens(shelf: Shelf, text: str, expected: str, names: list[str]) -> None:
    written, found = shelf.written(text)
    assert written == expected and [one.name for one in found] == names


def test_an_empty_shelf_leaves_every_text(tmp_path: Path) -> None:
    assert Shelf(tmp_path).written("bad, <wrong>") == ("bad, <wrong>", ()) and Shelf().names() == ()


@pytest.mark.parametrize("own", [True, False])
def test_two_files_of_one_token_are_two_negatives(folder: Path, tmp_path: Path, own: bool) -> None:
    for seed, name in enumerate(("first", "second")):
        vectors = 3 * torch.randn(1, 32, generator=torch.Generator().manual_seed(seed))
        save_file({"<wrong>": vectors}, tmp_path / f"{name}.safetensors")
    hashes = {path.stem: read(path).hash for path in tmp_path.glob("*.safetensors")}
    base = Recipe("a house", seed=3, steps=2, embeddings=tmp_path if own else ())

    def drawn(*names: str) -> list[negativa.Result]:
        studio = negativa.load(str(folder), embeddings=None if own else tmp_path)
        return [studio.generate(base.replace(negative=name)) for name in names]

    first, second, both = drawn("first", "second", "first, second")
    other, _ = drawn("second", "first")
    assert torch.equal(second.latents, other.latents) and not torch.equal(first.latents, second.latents)
    assert first.receipt.embeddings == {"wrong": hashes["first"]}
    assert second.receipt.embeddings == {"wrong": hashes["second"]}
    assert both.receipt.embeddings == hashes


# ---- in the text encoder


def states(pipeline: StableDiffusionPipeline, text: str) -> Tensor:
    """Hidden states as diffusers' own pipeline computes them."""
    return pipeline.encode_prompt(text, "cpu", 1, False)[0]


def ours(pipeline: StableDiffusionPipeline, text: str) -> Tensor:
    read = pipeline.tokenizer(text, padding="max_length", max_length=77, truncation=True, return_tensors="pt")
    return pipeline.text_encoder(read.input_ids).last_hidden_state


SMALL = torch.randn(3, 32)
SUPPORTED: dict[str, tuple[str, Callable[[Path, Tensor], Path]]] = {
    "AUTOMATIC1111": ("neg.pt", lambda path, vectors: files.automatic(path, vectors, name="<x>")),
    "one of two": ("neg.bin", lambda path, vectors: files.diffusers(path, vectors, "<x>")),
    "kohya": ("neg.safetensors", files.kohya),
    "diffusers": ("neg.safetensors", lambda path, vectors: files.diffusers(path, vectors, "<x>")),
}


@torch.no_grad()
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("layout", SUPPORTED)
def test_the_encoder_says_what_it_says_after_diffusers_own_loader(layout: str, count: int, tmp_path: Path) -> None:
    name, make = SUPPORTED[layout]
    path = make(tmp_path / name, SMALL[:count])
    theirs, mine = tiny_pipeline("epsilon"), tiny_pipeline("epsilon")
    before = ours(mine, "portrait of a man")
    theirs.load_textual_inversion(str(tmp_path), weight_name=name, token="<x>")
    shelf = Shelf(path)
    text, (embedding,) = shelf.written(f"a man, <{shelf.names()[0].strip('<>')}>, a hat")
    merge(mine.tokenizer, mine.text_encoder, embedding)
    expected = states(theirs, "a man, <x>, a hat")
    assert torch.equal(ours(mine, text), expected)
    assert torch.equal(ours(mine, "portrait of a man"), before)
    assert not torch.allclose(expected, states(theirs, "a man, a hat"))


@torch.no_grad()
def test_two_embeddings_and_odd_names(tmp_path: Path) -> None:
    theirs, mine = tiny_pipeline("epsilon"), tiny_pipeline("epsilon")
    for i, name in enumerate(("Straße 7", "näive", "负面 提示", "a (b)", "emoji 🎩", "hat")):
        shelf = Shelf(files.automatic(tmp_path / f"{name}.pt", SMALL[: i % 2 + 1] + i))
        theirs.load_textual_inversion({f"<t{i}>": SMALL[: i % 2 + 1] + i})
        text, (embedding,) = shelf.written(f"a man, {name}, a house")
        tokens = merge(mine.tokenizer, mine.text_encoder, embedding)
        assert len(tokens) == i % 2 + 1
        assert torch.equal(ours(mine, text), states(theirs, f"a man, <t{i}>, a house")), name


@torch.no_grad()
def test_a_half_precision_encoder_and_one_encoder_of_two(tmp_path: Path) -> None:
    pipeline = tiny_pipeline("epsilon")
    pipeline.text_encoder.half()
    both = read(files.sdxl(tmp_path / "xl.safetensors", SMALL[:1], SMALL[1:2]))
    (token,) = merge(pipeline.tokenizer, pipeline.text_encoder, both, "clip_g")
    row = pipeline.text_encoder.get_input_embeddings().weight[pipeline.tokenizer.convert_tokens_to_ids(token)]
    assert same(row, SMALL[1].half())


def test_an_embedding_of_another_family_changes_nothing(tmp_path: Path) -> None:
    pipeline = tiny_pipeline("epsilon")
    tokens, rows = len(pipeline.tokenizer), len(pipeline.text_encoder.get_input_embeddings().weight)

    def refused(embedding: Embedding, said: str, encoder: str | None = None) -> None:
        with pytest.raises(InputError, match=said):
            merge(pipeline.tokenizer, pipeline.text_encoder, embedding, encoder)
        assert len(pipeline.tokenizer) == tokens and len(pipeline.text_encoder.get_input_embeddings().weight) == rows

    one = read(files.kohya(tmp_path / "one.safetensors", ONE))
    refused(one, r"'one' is for Stable Diffusion 1 \(clip_l of width 768\); allowed: vectors of width 32")
    refused(read(files.sdxl(tmp_path / "xl.safetensors", THREE, WIDE)), "'xl' is for Stable Diffusion XL")
    refused(one, "allowed: vectors of width 32", "clip_g")
    small = read(files.kohya(tmp_path / "small.safetensors", SMALL))
    merge(pipeline.tokenizer, pipeline.text_encoder, small)
    tokens, rows = tokens + 3, rows + 3
    refused(small, "'<small>' is a token of this model already")


# ---- the command


def test_the_command_lists_and_converts(shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> Result:
        return CliRunner().invoke(app, ["embeddings", *words], catch_exceptions=True)

    told = run(".")
    assert told.exit_code == 0, told.stderr
    rows = [line.split() for line in told.stdout.splitlines()]
    assert rows[0] == ["NAME", "FAMILY", "VECTORS", "LAYOUT", "FILE"] and len(rows) == 6
    assert ["EasyNegative", "Stable", "Diffusion", "1", "3", "kohya", "EasyNegative.safetensors"] in rows
    assert "not read: embedding: 'broken.pt' is damaged" in told.stderr
    listed = json.loads(run(".", "--json").stdout)
    assert len(listed["embeddings"]) == 5 and listed["unreadable"][0]["file"] == "broken.pt"
    assert listed == json.loads(run("--json", ".").stdout)

    done = run("convert", "learned_embeds.bin", "new.safetensors")
    assert done.exit_code == 0 and done.stdout.strip() == "new.safetensors"
    assert same(load_file("new.safetensors")["emb_params"], ONE)
    assert "it is called 'new' now, as its file; it was called 'wrong'" in done.stderr
    assert isinstance(run("convert", "learned_embeds.bin", "new.safetensors", "--layout", "diffusers").exception, OutputError)
    assert "convert" in run("--help").stdout
    assert "there is no 'absent'" in str(run("absent").exception)
    (tmp_path / "empty").mkdir()
    assert "there are no embedding files in 'empty'" in run("empty").stderr
