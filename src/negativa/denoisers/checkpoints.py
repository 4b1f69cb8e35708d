"""Finds a model by name, folder, single file or hub id, and reads it; safetensors only."""

from __future__ import annotations

import os
from os import PathLike
from pathlib import Path
from typing import Final

import torch
from huggingface_hub import snapshot_download

from negativa.denoisers.adapters import Adapters, Given
from negativa.denoisers.denoiser import Denoiser
from negativa.denoisers.embeddings import Shelf
from negativa.denoisers.exact import Exact
from negativa.denoisers.files import PICKLES
from negativa.denoisers.folders import first_line, read_folder
from negativa.denoisers.sd3 import StableDiffusion3
from negativa.denoisers.sdxl import StableDiffusionXL
from negativa.denoisers.single_files import read_single_file
from negativa.errors import InputError, ModelError, nearest
from negativa.exact import COMPASS, Mixture

BUILT_IN: Final[dict[str, Path | Mixture]] = {
    "terrarium": Path(__file__).parent.parent / "terrarium" / "weights",
    "exact": COMPASS,
}
SCALES: Final = {"terrarium": 3.5}  # of guidance, where the usual one is not the best
WANTED: Final = [
    "*.json",
    "*.txt",
    "*/*.json",
    "*/*.txt",
    *(f"{part}/*.safetensors" for part in {**StableDiffusionXL.networks, **StableDiffusion3.networks}),
]
UNWANTED: Final = ["*.fp16.*", "*.bf16.*", "*non_ema*"]


def open_model(
    model: str | Mixture,
    device: torch.device,
    dtype: torch.dtype,
    config: str | None = None,
    shelf: Shelf | None = None,
    adapters: Given = (),
    image_encoder: str | PathLike[str] | None = None,
) -> Denoiser:
    """Read a model: a built-in name, a diffusers folder, a single .safetensors file, or a hub id; or take a mixture as one.

    `config` is the diffusers folder that describes a single file; without it diffusers asks the hub. `shelf` holds the
    embeddings whose names are words of its prompts. `adapters` and `image_encoder` read its images, see `Adapters`; a folder's
    own adapters are among them.
    Raises `ModelError` if there is none, or it cannot be read, `InputError` for a folder of those that is not there.
    """
    for field, place in (("config", config), ("image encoder", image_encoder)):
        if place is not None and not os.path.isdir(place) and (field != "config" or _looks_local(str(place))):  # noqa: PTH112
            raise InputError(f"{field}: there is no {str(place)!r}; allowed: a folder")
    name, path = ("", model) if isinstance(model, Mixture) else (model, BUILT_IN.get(model, Path(model)))
    if isinstance(path, Mixture):
        if shelf:
            raise InputError(f"embeddings: they were given with {name or 'a mixture'!r}; allowed: a model that reads words")
        if adapters:
            raise InputError(f"adapters: they were given with {name or 'a mixture'!r}; allowed: a model with attention")
        return Exact(path, name)
    assert isinstance(model, str)
    try:
        folder, file = path.is_dir(), path.is_file()
    except OSError as error:
        raise ModelError(f"model: {model[:80]!r} cannot be looked up: {error.strerror}") from error
    if file:
        found = read_single_file(model, path, device, dtype, config)
    else:
        path = path if folder else _download(model)
        found = read_folder(model, path, device, dtype, SCALES.get(model))
    found.shelf = shelf or found.shelf
    found.adapters = Adapters(found.network, adapters, None if file else path, image_encoder)
    return found


def _download(model: str) -> Path:
    if _looks_local(model):
        kinds = "a diffusers folder, a .safetensors file or a hub id (owner/name)"
        raise ModelError(f"model: there is no {model!r}; {nearest(model, BUILT_IN)}, {kinds}")
    try:
        return Path(snapshot_download(model, allow_patterns=WANTED, ignore_patterns=UNWANTED))
    except Exception as error:  # the hub's client raises its transport's errors as they are
        raise ModelError(
            f"model: {model!r} is no folder here and could not be fetched from the hub: {first_line(error)}"
        ) from error


def _looks_local(name: str) -> bool:
    """Whether a name is that of a folder or file here, not a hub id."""
    if Path(name).suffix.lower() in {".safetensors", *PICKLES}:
        return True
    return name.startswith((".", "/", "~")) or "\\" in name or name.count("/") != 1
