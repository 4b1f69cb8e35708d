"""Finds a model by name, folder, single file or hub id, and reads it; safetensors only."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any, Final

import torch
from huggingface_hub import snapshot_download
from safetensors import safe_open

from negativa.denoisers.adapters import Adapters, Given
from negativa.denoisers.denoiser import Denoiser
from negativa.denoisers.embeddings import Shelf
from negativa.denoisers.exact import Exact
from negativa.denoisers.files import PICKLES
from negativa.denoisers.flux import Flux
from negativa.denoisers.latent import LatentDiffusion
from negativa.denoisers.sd import StableDiffusion
from negativa.denoisers.sd3 import StableDiffusion3
from negativa.denoisers.sdxl import StableDiffusionXL
from negativa.errors import InputError, ModelError, nearest
from negativa.exact import COMPASS, Mixture
from negativa.plain.conditions import NothingKind

BUILT_IN: Final[dict[str, Path | Mixture]] = {
    "terrarium": Path(__file__).parent.parent / "terrarium" / "weights",
    "exact": COMPASS,
}
SCALES: Final = {"terrarium": 3.5}  # of guidance, where the usual one is not the best
ALLOWED: Final = "Stable Diffusion 1.x, 2.x or 3, the base model of XL, or Flux.1"
WANTED: Final = [
    "*.json",
    "*.txt",
    "*/*.json",
    "*/*.txt",
    *(f"{part}/*.safetensors" for part in {**StableDiffusionXL.networks, **StableDiffusion3.networks}),
]
UNWANTED: Final = ["*.fp16.*", "*.bf16.*", "*non_ema*"]
WEIGHTS: Final = "diffusion_pytorch_model.safetensors"
#: How the weights of Stable Diffusion XL's second text encoder begin in a single file: those of its base model, of its refiner.
SECOND: Final = ("conditioner.embedders.1.model.", "conditioner.embedders.0.model.")
#: Keys of a single file that say how it was trained, as what its scheduler is told.
MARKS: Final[dict[str, dict[str, Any]]] = {
    "v_pred": {"prediction_type": "v_prediction"},
    "ztsnr": {"rescale_betas_zero_snr": True},
}
#: How the weights of the denoising network begin in a single file.
NETWORK: Final = "model.diffusion_model."
#: How the keys of a single file begin that say it predicts velocity on the schedule of Karras et al. 2022, as CosXL does.
EDM: Final = "edm_vpred."
#: What diffusers puts in the place of a negative prompt that is not given, by `force_zeros_for_empty_prompt`.
NOTHING: Final[dict[bool | None, NothingKind]] = {True: "zeros", False: "empty"}


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
        found = _single_file(model, path, device, dtype, config)
    else:
        path = path if folder else _download(model)
        found = _folder(model, path, device, dtype)
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
            f"model: {model!r} is no folder here and could not be fetched from the hub: {_first_line(error)}"
        ) from error


def _looks_local(name: str) -> bool:
    """Whether a name is that of a folder or file here, not a hub id."""
    return name.startswith((".", "/", "~")) or "\\" in name or name.count("/") != 1


def _folder(name: str, folder: Path, device: torch.device, dtype: torch.dtype) -> LatentDiffusion:
    index = _index(name, folder)
    what = index.get("_class_name", "unknown")
    unet = StableDiffusionXL if "text_encoder_2" in index else StableDiffusion
    family = {one.pipeline: one for one in (StableDiffusion3, Flux)}.get(what, unet)
    there = {part for part, said in index.items() if said != [None, None] and (folder / part).is_dir()}
    if absent := [part for part in (*family.networks, *family.tokenizers, "scheduler") if part not in there | family.optional]:
        raise ModelError(f"model: {name!r} is a {what} without the parts {absent}; allowed: {ALLOWED}")
    networks, tokenizers = (
        {part: kind for part, kind in kinds.items() if part in there} for kinds in (family.networks, family.tokenizers)
    )
    for part in networks:
        _refuse_pickle(name, folder / part)
    try:
        parts = {part: _network(kind, folder, part, dtype).to(device) for part, kind in networks.items()}
        for part, kind in tokenizers.items():
            if not any((folder / part / file).is_file() for file in ("tokenizer.json", "vocab.json")):
                raise FileNotFoundError(f"its {part} has no vocabulary")  # transformers would make an empty one
            parts[part] = kind.from_pretrained(folder, subfolder=part)
        scheduler = json.loads((folder / "scheduler" / "scheduler_config.json").read_text(encoding="utf-8"))
        if not isinstance(scheduler, dict) or "num_train_timesteps" not in scheduler:
            raise ValueError("its scheduler has no schedule")  # diffusers would take its defaults
    except Exception as error:  # a damaged file comes out of four libraries, one of which raises bare Exception
        raise ModelError(f"model: {name!r} could not be read: {_first_line(error)}") from error
    return _assembled(name, _hash(folder / family.denoising / WEIGHTS), family, parts, scheduler, index)


def _network(kind: Any, folder: Path, part: str, dtype: torch.dtype) -> Any:
    """A part with all of its weights. Raises `ValueError` if the file lacks some, which transformers would draw by lot."""
    found, said = kind.from_pretrained(
        folder, subfolder=part, torch_dtype=dtype, use_safetensors=True, output_loading_info=True
    )
    if missing := sorted(said["missing_keys"]):
        raise ValueError(f"its {part} lacks {len(missing)} weights, the first {missing[0]!r}")
    return found


def _single_file(name: str, path: Path, device: torch.device, dtype: torch.dtype, config: str | None) -> LatentDiffusion:
    if path.suffix.lower() != ".safetensors":
        why = "a pickle, which can run code when it is read" if path.suffix.lower() in PICKLES else "not a model file"
        raise ModelError(f"model: {name!r} is {why}; allowed: .safetensors")
    import diffusers  # its pipelines are slow to import, and needed here alone

    asked = ""
    try:
        with safe_open(path, "pt") as weights:
            keys = list(weights.keys())
        base, refiner = (any(key.startswith(one) for key in keys) for one in SECOND)
        if any(".joint_blocks." in key for key in keys):
            raise ValueError(f"it is a single file of {StableDiffusion3.family}; allowed: a diffusers folder of it")
        if refiner:
            raise ValueError(f"it is the refiner of Stable Diffusion XL; allowed: {ALLOWED}")
        if not any(key.startswith(NETWORK) for key in keys):
            raise ValueError(f"it has no weights {NETWORK}...; allowed: {ALLOWED}")
        if edm := [key for key in keys if key.startswith(EDM)]:
            raise ValueError(f"its {edm[0]!r} says that it was trained on EDM's schedule; allowed: {ALLOWED}")
        family = StableDiffusionXL if base else StableDiffusion
        unwanted = {"safety_checker": None, "feature_extractor": None} if family is StableDiffusion else {}
        kind = getattr(diffusers, family.pipeline)
        asked = "" if config else "; without --config FOLDER, a diffusers folder that describes it, the hub is asked"
        pipeline = kind.from_single_file(str(path), config=config, torch_dtype=dtype, **unwanted).to(device)
    except Exception as error:  # as above
        raise ModelError(f"model: {name!r} could not be read: {_first_line(error)}{asked}") from error
    parts = {part: getattr(pipeline, part) for part in (*family.networks, *family.tokenizers)}
    marked = {field: value for key in MARKS.keys() & keys for field, value in MARKS[key].items()}
    return _assembled(name, _hash(path), family, parts, _told(pipeline.scheduler.config, marked), pipeline.config)


def _assembled(
    name: str,
    digest: str,
    family: type[LatentDiffusion],
    parts: Mapping[str, Any],
    scheduler: Mapping[str, Any],
    index: Mapping[str, Any],
) -> LatentDiffusion:
    """The parts as one model. Raises `ModelError` if they do not fit together, as those of an inpainting model."""
    if not family.fits(parts):
        raise ModelError(f"model: the parts of {name!r} are not those of text-to-image {family.family}")
    if family is StableDiffusion:
        scheduler = _told(scheduler, {"steps_offset": 1})  # as its pipeline in diffusers, whatever the file says
    return family(
        name=name,
        hash=digest,
        scale=SCALES.get(name, family.usual_scale),
        nothing=NOTHING.get(index.get("force_zeros_for_empty_prompt"), family.usual_nothing),
        scheduler=scheduler,
        **parts,
    )


def _told(scheduler: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """A scheduler's configuration with other settings, which are none of its defaults: diffusers passes over those."""
    defaults = [field for field in scheduler.get("_use_default_values", ()) if field not in settings]
    return {**scheduler, **settings, "_use_default_values": defaults}


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


def _hash(file: Path) -> str:
    if not file.is_file():
        return ""
    with file.open("rb") as weights:
        return hashlib.file_digest(weights, "sha256").hexdigest()[:10]


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
