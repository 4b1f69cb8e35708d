"""Reads a diffusers folder: its parts, checked, as one model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import torch

from negativa.denoisers.files import PICKLES
from negativa.denoisers.flux import Flux
from negativa.denoisers.latent import LatentDiffusion
from negativa.denoisers.sd import StableDiffusion
from negativa.denoisers.sd3 import StableDiffusion3
from negativa.denoisers.sdxl import StableDiffusionXL
from negativa.errors import ModelError
from negativa.plain.conditions import NothingKind

ALLOWED: Final = "Stable Diffusion 1.x, 2.x or 3, the base model of XL, or Flux.1"
WEIGHTS: Final = "diffusion_pytorch_model.safetensors"
#: What diffusers puts in the place of a negative prompt that is not given, by `force_zeros_for_empty_prompt`.
NOTHING: Final[dict[bool | None, NothingKind]] = {True: "zeros", False: "empty"}


def read_folder(
    name: str, folder: Path, device: torch.device, dtype: torch.dtype, scale: float | None = None
) -> LatentDiffusion:
    """The model of a folder; `scale` is its usual one of guidance, if not that of its family. Raises `ModelError`."""
    index = _index(name, folder)
    what = index.get("_class_name", "unknown")
    unet = StableDiffusionXL if "text_encoder_2" in index else StableDiffusion
    family = {one.pipeline: one for one in (StableDiffusion3, Flux)}.get(what, unet)
    named = {part for part, said in index.items() if said != [None, None]}
    there = {part for part in named if (folder / part).is_dir()}
    spared = family.optional - named  # what its index names is not spared: half a download would draw something else
    if absent := [part for part in (*family.networks, *family.tokenizers, "scheduler") if part not in there | spared]:
        raise ModelError(f"model: {name!r} is a {what} without the parts {absent}; allowed: {ALLOWED}")
    networks, tokenizers = (
        {part: kind for part, kind in kinds.items() if part in there} for kinds in (family.networks, family.tokenizers)
    )
    for part in networks:
        _refuse_pickle(name, folder / part)
    try:
        parts = {part: _network(kind, folder, part, dtype).to(device) for part, kind in networks.items()}
        check_vocabularies(folder, tokenizers)
        parts |= {part: kind.from_pretrained(folder, subfolder=part) for part, kind in tokenizers.items()}
        scheduler = schedule_in(folder)
    except Exception as error:  # a damaged file comes out of four libraries, one of which raises bare Exception
        raise ModelError(f"model: {name!r} could not be read: {first_line(error)}") from error
    return assembled(name, digest_of(folder / family.denoising / WEIGHTS), family, parts, scheduler, index, scale)


def _network(kind: Any, folder: Path, part: str, dtype: torch.dtype) -> Any:
    """A part with all of its weights. Raises `ValueError` if the file lacks some, which transformers would draw by lot."""
    found, said = kind.from_pretrained(
        folder, subfolder=part, torch_dtype=dtype, use_safetensors=True, output_loading_info=True
    )
    if missing := sorted(said["missing_keys"]):
        raise ValueError(f"its {part} lacks {len(missing)} weights, the first {missing[0]!r}")
    return found


def check_vocabularies(folder: Path, parts: Iterable[str]) -> None:
    """Raise `FileNotFoundError` for a tokenizer without a vocabulary: transformers would make an empty one."""
    for part in parts:
        if not any((folder / part / file).is_file() for file in ("tokenizer.json", "vocab.json")):
            raise FileNotFoundError(f"its {part} has no vocabulary")


def schedule_in(folder: Path) -> dict[str, Any]:
    """The configuration of a folder's scheduler. Raises `ValueError` for one without a schedule, or on one we do not have."""
    scheduler = json.loads((folder / "scheduler" / "scheduler_config.json").read_text(encoding="utf-8"))
    if not isinstance(scheduler, dict) or "num_train_timesteps" not in scheduler:
        raise ValueError("its scheduler has no schedule")  # diffusers would take its defaults
    if "sigma_data" in scheduler:
        raise ValueError(f"its scheduler says that it was trained on EDM's schedule; allowed: {ALLOWED}")
    return scheduler


def assembled(
    name: str,
    digest: str,
    family: type[LatentDiffusion],
    parts: Mapping[str, Any],
    scheduler: Mapping[str, Any],
    index: Mapping[str, Any],
    scale: float | None = None,
) -> LatentDiffusion:
    """The parts as one model. Raises `ModelError` if they do not fit together, as those of an inpainting model."""
    if not family.fits(parts):
        raise ModelError(f"model: the parts of {name!r} are not those of text-to-image {family.family}")
    if family is StableDiffusion:
        scheduler = told(scheduler, {"steps_offset": 1})  # as its pipeline in diffusers, whatever the file says
    return family(
        name=name,
        hash=digest,
        scale=family.usual_scale if scale is None else scale,
        nothing=NOTHING.get(index.get("force_zeros_for_empty_prompt"), family.usual_nothing),
        scheduler=scheduler,
        **parts,
    )


def told(scheduler: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """A scheduler's configuration with other settings, which are none of its defaults: diffusers passes over those."""
    defaults = [field for field in scheduler.get("_use_default_values", ()) if field not in settings]
    return {**scheduler, **settings, "_use_default_values": defaults}


def digest_of(file: Path) -> str:
    """The first ten hexadecimal digits of a file's SHA-256, "" if there is no such file."""
    if not file.is_file():
        return ""
    with file.open("rb") as weights:
        return hashlib.file_digest(weights, "sha256").hexdigest()[:10]


def first_line(error: BaseException) -> str:
    """What an error says in one line, its name if it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _index(name: str, folder: Path) -> dict[str, Any]:
    try:
        index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"model: {name!r} is no diffusers folder: its model_index.json cannot be read") from error
    if not isinstance(index, dict):
        raise ModelError(f"model: {name!r} is no diffusers folder: its model_index.json is no list of parts")
    return index


def _refuse_pickle(name: str, part: Path) -> None:
    if not any(part.glob("*.safetensors")) and any(file.suffix in PICKLES for file in part.iterdir()):
        raise ModelError(
            f"model: {name!r} has {part.name} only as a pickle, which can run code when it is read; allowed: .safetensors"
        )
