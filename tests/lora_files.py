"""LoRA files in their published layouts, of chance numbers that are large enough to be seen."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import StableDiffusionPipeline
from diffusers.utils import convert_state_dict_to_kohya
from peft import LoraConfig, get_peft_model_state_dict, inject_adapter_in_model
from safetensors.torch import save_file
from torch import Tensor, nn

UNET = (
    "to_q",
    "to_k",
    "to_v",
    "to_out.0",
    "proj_in",
    "ff.net.2",
    "conv1",
    "conv_shortcut",
    "time_emb_proj",
    "downsamplers.0.conv",
)
TEXT = ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2")


def matrices(network: nn.Module, targets: Iterable[str], rank: int, seed: int = 0) -> dict[str, Tensor]:
    """What peft would have learned of a network; the network is left as it is."""
    torch.manual_seed(seed)
    changed = inject_adapter_in_model(
        LoraConfig(r=rank, lora_alpha=rank, target_modules=list(targets), init_lora_weights=False), copy.deepcopy(network)
    )
    return {key: value.detach() * 2 for key, value in get_peft_model_state_dict(changed).items()}


def prefixed(**networks: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{name}.{key}": value for name, state in networks.items() for key, value in state.items()}


def write(path: Path, state: Mapping[str, Tensor], alpha: float | None = None, metadata: dict[str, str] | None = None) -> Path:
    """In diffusers' layout, or with an `alpha` in kohya's."""
    tensors: dict[str, Any] = dict(state)
    if alpha is not None:
        tensors = convert_state_dict_to_kohya(tensors)
        tensors |= {key: torch.tensor(alpha) for key in tensors if key.endswith(".alpha")}
    save_file({key: value.contiguous() for key, value in tensors.items()}, path, {"format": "pt"} | (metadata or {}))
    return path


def of(pipeline: StableDiffusionPipeline, parts: Iterable[str], rank: int = 3, seed: int = 0) -> dict[str, Tensor]:
    """A LoRA of some of a pipeline's networks."""
    networks = {part: matrices(getattr(pipeline, part), UNET if part == "unet" else TEXT, rank, seed) for part in parts}
    return prefixed(**networks)
