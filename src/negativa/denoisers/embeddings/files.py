"""Embedding files, read in every layout and written as safetensors."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import safetensors.torch

from negativa.denoisers import archives
from negativa.denoisers.embeddings import pictures
from negativa.denoisers.embeddings.embedding import Embedding
from negativa.denoisers.embeddings.layouts import PAIR, Held, understand
from negativa.denoisers.files import load
from negativa.errors import InputError, nearest
from negativa.language.files import check_target, output

LARGEST: Final = 2**28  # bytes; some trainers save the model's whole table of words with the one that they learned
READERS: Final[dict[str, Callable[[bytes], Any]]] = {
    ".safetensors": safetensors.torch.load,
    ".pt": lambda raw: archives.load(raw, LARGEST),
    ".bin": lambda raw: archives.load(raw, LARGEST),
    ".png": pictures.load,
    ".webp": pictures.load,
}
LONGEST: Final = 100  # letters of a name that a file gives itself
LAYOUTS: Final = ("kohya", "sdxl", "diffusers")  # what can be written


def read(path: str | os.PathLike[str]) -> Embedding:
    """Read an embedding; nothing in its file is executed.

    It is named as the file's picture or diffusers' token names it, otherwise after the file. The second file of a pair that
    diffusers writes for Stable Diffusion XL (`NAME_2.safetensors`) is read with the first. Raises `InputError` if there is no
    such file, it is damaged, or it is no embedding.
    """
    path = Path(path)
    raw, held = _held(path)
    digest = hashlib.sha256(raw).hexdigest()[:12]
    named = held.name if held.layout == "diffusers" or path.suffix.lower() in (".png", ".webp") else ""
    name = named if re.search(r"\w", named) and named.isprintable() and len(named) <= LONGEST else path.stem
    ours, *_ = held.vectors.values()
    if held.layout == "diffusers" and ours.shape[1] == 768 and second(path).is_file():
        _, other = _held(second(path))
        theirs, *_ = other.vectors.values()
        if other.name == held.name and theirs.shape == (len(ours), 1280):
            pair = dict(zip(PAIR, (ours, theirs), strict=True))
            return Embedding(name, pair, "diffusers pair", digest, path, held.notices)
    return Embedding(name, held.vectors, held.layout, digest, path, held.notices)


def layouts_of(encoders: int) -> tuple[str, ...]:
    """What can be written of vectors for so many text encoders, 1 or 2."""
    return ("kohya", "diffusers") if encoders == 1 else ("sdxl", "diffusers")


def second(path: Path) -> Path:
    """Where diffusers writes the vectors of Stable Diffusion XL's second encoder, beside those of the first."""
    return path.with_name(f"{path.stem}_2{path.suffix}")


def write(
    embedding: Embedding,
    path: str | os.PathLike[str],
    layout: str | None = None,
    overwrite: bool = False,
    notes: Mapping[str, str] | None = None,
) -> None:
    """Write an embedding as safetensors, its vectors bit for bit; the file appears whole or not at all.

    `layout` is "kohya" (one tensor, `emb_params`), "sdxl" (`clip_l` and `clip_g`) or "diffusers" (one tensor under the name;
    of two text encoders the second's is in a file of its own, `NAME_2.safetensors`); if not given, what AUTOMATIC1111 and
    ComfyUI both read: kohya for one text encoder, sdxl for two. `notes` join the file's metadata. Raises `InputError` for
    another kind of file or layout, `OutputError` if the file exists or cannot be written.
    """
    path = Path(path)
    layout = layout or ("kohya" if len(embedding.vectors) == 1 else "sdxl")
    if layout not in LAYOUTS:
        raise InputError(f"layout: {layout!r} was given; {nearest(layout, LAYOUTS)}")
    if layout not in (fitting := layouts_of(len(embedding.vectors))):
        encoders = " and ".join(embedding.vectors)
        raise InputError(f"layout: {layout!r} was given for vectors of {encoders}; allowed: {', '.join(fitting)}")
    held = {path: dict(embedding.vectors)}
    if layout != "sdxl":
        key = "emb_params" if layout == "kohya" else embedding.tokens[0]
        places = (path, second(path))[: len(embedding.vectors)]
        held = {place: {key: one} for place, one in zip(places, embedding.vectors.values(), strict=True)}
    for place in held:
        check_target("embedding", place, (".safetensors",), overwrite)
    for place, tensors in held.items():
        raw = safetensors.torch.save({k: v.contiguous() for k, v in tensors.items()}, {"format": "pt", **(notes or {})})
        with output("embedding", place, overwrite) as file:
            file.write(raw)


def convert(
    source: str | os.PathLike[str], target: str | os.PathLike[str], layout: str | None = None, overwrite: bool = False
) -> Embedding:
    """Read an embedding in any layout and write it as `write` does, with the metadata it has; returns what was read."""
    embedding = read(source)
    write(embedding, target, layout, overwrite, _notes(embedding.path))
    return embedding


def _notes(path: Path) -> dict[str, str]:
    """The metadata of a safetensors file; the other kinds have none."""
    if path.suffix.lower() != ".safetensors":
        return {}
    with safetensors.safe_open(path, "pt") as file:
        return dict(file.metadata() or {})


def _held(path: Path) -> tuple[bytes, Held]:
    """The bytes of a file and what they say."""
    return load("embedding", path, READERS, understand, LARGEST)
