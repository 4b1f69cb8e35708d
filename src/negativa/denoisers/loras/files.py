"""LoRA files: .safetensors in the layouts of diffusers and of kohya's scripts, told apart and converted by diffusers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import safetensors.torch
from diffusers.loaders import StableDiffusionLoraLoaderMixin
from diffusers.utils.state_dict_utils import StateDictType, convert_state_dict_to_peft, convert_unet_state_dict_to_peft
from peft.utils.other import get_pattern_key
from torch import Tensor

from negativa.denoisers.files import PICKLES, load
from negativa.errors import InputError
from negativa.plain.quiet import quiet

LARGEST: Final = 2**32  # bytes; those of Stable Diffusion XL have a quarter at most
SETTINGS: Final = "lora_adapter_metadata"  # where diffusers keeps the configuration of peft
DOWN: Final = ".lora_down.weight"  # as kohya's scripts write
UP: Final = ".lora_up.weight"
ALPHA: Final = ".alpha"
A: Final = ".lora_A.weight"  # as peft does
B: Final = ".lora_B.weight"
OTHERS: Final = {  # kin of LoRA, by what is in their keys
    "dora_scale": "DoRA",
    "lora_magnitude_vector": "DoRA",
    "hada_": "LoHa",
    "lokr_": "LoKr",
    "lora_mid": "LoCon with a core",
}
Pair = tuple[Tensor, Tensor]


@dataclass(frozen=True, eq=False)
class Lora:
    """What a file says.

    `pairs` are the matrices A (rank, ...) and B (..., rank) for each module of each network ("unet", "text_encoder",
    "text_encoder_2"); what the file says of their scale is in B. `hash` has the first twelve hexadecimal digits of the SHA-256
    of all that follows the file's header, by which other programs know LoRAs.
    """

    pairs: Mapping[str, Mapping[str, Pair]]
    hash: str
    path: Path


def read(path: Path, unet_config: Mapping[str, Any]) -> Lora:
    """Read a LoRA; nothing in its file is executed.

    `unet_config` tells how the blocks are numbered where a file counts them as the original code does. Raises `InputError` if
    there is no such file, it is damaged, or it is no LoRA of Stable Diffusion.
    """
    if path.suffix.lower() in PICKLES:
        raise InputError(f"lora: {str(path)!r} is a pickle, which can run code when it is read; allowed: .safetensors")

    def understood(held: tuple[dict[str, Tensor], Mapping[str, Any], str]) -> Lora:
        data, settings, digest = held
        _check(data)
        return Lora(_scaled(_converted(data, unet_config), settings), digest, path)

    return load("lora", path, {".safetensors": _opened}, understood, LARGEST)[1]


def _opened(raw: bytes) -> tuple[dict[str, Tensor], Mapping[str, Any], str]:
    """The tensors of a file, the configuration of peft in its header, and the hash of what follows that."""
    begin = 8 + int.from_bytes(raw[:8], "little")
    settings = json.loads(json.loads(raw[8:begin]).get("__metadata__", {}).get(SETTINGS, "{}"))
    return safetensors.torch.load(raw), settings, hashlib.sha256(raw[begin:]).hexdigest()[:12]


def _check(data: Mapping[str, Tensor]) -> None:
    for key, value in data.items():
        if kind := next((name for part, name in OTHERS.items() if part in key), None):
            raise InputError(f"is a {kind} ({key[:80]!r}); allowed: a LoRA")
        if not (value.is_floating_point() or key.endswith(ALPHA)) or not value.isfinite().all():
            raise InputError(f"has values in {key[:80]!r} that are no finite numbers")
    if not data:
        raise InputError("holds nothing; allowed: a LoRA")


def _converted(data: dict[str, Tensor], unet_config: Mapping[str, Any]) -> dict[str, dict[str, Pair]]:
    """Pairs by network and module."""
    if any(key.endswith(DOWN) for key in data):
        data = _folded(data)
    with quiet():
        found, _ = StableDiffusionLoraLoaderMixin.lora_state_dict(dict(data), unet_config=_Config(unet_config))
    if len(found) < len(data):
        raise InputError("counts its blocks in two ways; allowed: one of them")
    pairs: dict[str, dict[str, Pair]] = {}
    for name in ("unet", "text_encoder", "text_encoder_2"):
        mine = {key.removeprefix(f"{name}."): value for key, value in found.items() if key.startswith(f"{name}.")}
        found = {key: value for key, value in found.items() if not key.startswith(f"{name}.")}
        if name == "unet":
            mine = convert_unet_state_dict_to_peft(mine)
        else:
            for layout in (StateDictType.DIFFUSERS_OLD, StateDictType.DIFFUSERS):
                mine = convert_state_dict_to_peft(mine, layout)
        if mine:
            pairs[name] = _paired(mine)
    if found:
        raise InputError(f"holds {next(iter(found))[:80]!r}, which is no LoRA's; allowed: the layouts of diffusers and kohya")
    return pairs


def _folded(data: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Kohya's layout with every alpha in its B: W + alpha / rank B A."""
    folded = {key: value for key, value in data.items() if not key.endswith(ALPHA)}
    for key in data:
        name = key.removesuffix(ALPHA)
        if name != key:
            if f"{name}{UP}" not in folded or data[key].numel() != 1:
                raise InputError(f"holds {key[:80]!r} without a matrix; allowed: one beside lora_down and lora_up")
            up = folded[f"{name}{UP}"]
            folded[f"{name}{UP}"] = up.float() * (float(data[key]) / up.shape[1])
    return folded


def _paired(data: Mapping[str, Tensor]) -> dict[str, Pair]:
    pairs: dict[str, Pair] = {}
    for key, value in data.items():
        module = key.removesuffix(A).removesuffix(B)
        both = (data.get(module + A), data.get(module + B))
        if module == key or both[0] is None or both[1] is None:
            raise InputError(f"holds {key[:80]!r}, which is not one of a pair of matrices")
        if min(one.ndim for one in both) < 2 or both[0].shape[0] != both[1].shape[1] or value.numel() == 0:
            shapes = " and ".join(str(tuple(one.shape)) for one in both)
            raise InputError(f"has matrices of {shapes} for {module[:80]!r}, which do not go together")
        pairs[module] = both
    return pairs


def _scaled(pairs: Mapping[str, Mapping[str, Pair]], settings: Mapping[str, Any]) -> dict[str, dict[str, Pair]]:
    """The pairs with the scale that peft's configuration in the file gives them, 1 without one."""

    def scaled(name: str, module: str, pair: Pair) -> Pair:
        mine = {key.removeprefix(f"{name}."): value for key, value in settings.items() if key.startswith(f"{name}.")}
        if "lora_alpha" not in mine:
            return pair
        patterns = mine.get("alpha_pattern") or {}
        alpha = patterns.get(get_pattern_key(list(patterns), module), mine["lora_alpha"])
        rank = pair[0].shape[0]
        return pair[0], pair[1].float() * (alpha / (rank**0.5 if mine.get("use_rslora") else rank))

    return {name: {module: scaled(name, module, pair) for module, pair in mine.items()} for name, mine in pairs.items()}


class _Config:
    """A network's configuration as attributes, which diffusers asks for."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.layers_per_block = values["layers_per_block"]
