"""Reads a single .safetensors file of Stable Diffusion 1, 2 or XL, which a diffusers folder describes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import safe_open

from negativa.denoisers.files import PICKLES
from negativa.denoisers.flux import Flux
from negativa.denoisers.folders import ALLOWED, assembled, check_vocabularies, digest_of, first_line, schedule_in, told
from negativa.denoisers.latent import LatentDiffusion
from negativa.denoisers.sd import StableDiffusion
from negativa.denoisers.sd3 import StableDiffusion3
from negativa.denoisers.sdxl import StableDiffusionXL
from negativa.errors import ModelError

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
#: What stands in the names of the weights of families that take a folder.
IN_FOLDERS: Final = {".joint_blocks.": StableDiffusion3.family, "double_blocks.": Flux.family}


def read_single_file(name: str, path: Path, device: torch.device, dtype: torch.dtype, config: str | None) -> LatentDiffusion:
    """The model of a file; `config` is the folder that describes it, without one the hub is asked. Raises `ModelError`."""
    if path.suffix.lower() != ".safetensors":
        why = "a pickle, which can run code when it is read" if path.suffix.lower() in PICKLES else "not a model file"
        raise ModelError(f"model: {name!r} is {why}; allowed: .safetensors")
    import diffusers  # its pipelines are slow to import, and needed here alone

    asked = ""
    try:
        with safe_open(path, "pt") as weights:
            keys = list(weights.keys())
        family = _family_of(keys)
        if config and Path(config).is_dir():
            check_vocabularies(Path(config), family.tokenizers)
            schedule_in(Path(config))
        else:
            why = f"{config!r} is no folder here" if config else "without --config FOLDER, a diffusers folder that describes it"
            asked = f"; {why}, the hub is asked"
        unwanted = {"safety_checker": None, "feature_extractor": None} if family is StableDiffusion else {}
        kind = getattr(diffusers, family.pipeline)
        pipeline = kind.from_single_file(str(path), config=config, torch_dtype=dtype, **unwanted).to(device)
    except NotImplementedError as error:  # a weight that was described, and never read
        raise ModelError(f"model: {name!r} could not be read: it lacks weights of its networks; allowed: {ALLOWED}") from error
    except Exception as error:  # a damaged file comes out of four libraries, one of which raises bare Exception
        raise ModelError(f"model: {name!r} could not be read: {first_line(error)}{asked}") from error
    parts = {part: getattr(pipeline, part) for part in (*family.networks, *family.tokenizers)}
    marked = {field: value for key in MARKS.keys() & keys for field, value in MARKS[key].items()}
    return assembled(name, digest_of(path), family, parts, told(pipeline.scheduler.config, marked), pipeline.config)


def _family_of(keys: Sequence[str]) -> type[LatentDiffusion]:
    """The family that a file's weights are of, by their names. Raises `ValueError` for what is read from no single file."""
    if any("lora" in key for key in keys):
        raise ValueError(f"it is a LoRA, which changes a model (--lora); allowed: {ALLOWED}")
    base, refiner = (any(key.startswith(one) for key in keys) for one in SECOND)
    for part, family in IN_FOLDERS.items():
        if any(part in key for key in keys):
            raise ValueError(f"it is a single file of {family}; allowed: a diffusers folder of it")
    if refiner:
        raise ValueError(f"it is the refiner of Stable Diffusion XL; allowed: {ALLOWED}")
    if not any(key.startswith(NETWORK) for key in keys):
        raise ValueError(f"it has no weights {NETWORK}...; allowed: {ALLOWED}")
    if edm := [key for key in keys if key.startswith(EDM)]:
        raise ValueError(f"its {edm[0]!r} says that it was trained on EDM's schedule; allowed: {ALLOWED}")
    return StableDiffusionXL if base else StableDiffusion
