"""What learns: a copy of the U-Net with a LoRA in it, or as a whole; and the files that it becomes."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Final

import numpy as np
import safetensors.torch
import torch
from diffusers import UNet2DConditionModel
from diffusers.utils import convert_state_dict_to_kohya
from peft import LoraConfig, get_peft_model_state_dict
from peft.tuners.lora import LoraLayer
from safetensors import SafetensorError
from torch import Tensor, nn

from negativa.denoisers.unet import UNetDiffusion
from negativa.language.files import output_folder, write
from negativa.plain.conditions import Condition
from negativa.training.bake.goal import Goal
from negativa.training.bake.walks import Places

LAYOUTS: Final = ("diffusers", "kohya")
TARGETS: Final = (  # all but the first and last layer and the embedding of time, as in LCM-LoRA (arXiv 2311.05556)
    "to_q",
    "to_k",
    "to_v",
    "to_out.0",
    "proj_in",
    "proj_out",
    "ff.net.0.proj",
    "ff.net.2",
    "conv1",
    "conv2",
    "conv_shortcut",
    "downsamplers.0.conv",
    "upsamplers.0.conv",
    "time_emb_proj",
)


class Student:
    """A copy of a model's U-Net in float32; `rank` is that of its LoRA, None trains all of it. `seed` decides first weights.

    `learned` are the weights that are trained.
    """

    def __init__(self, denoiser: UNetDiffusion, rank: int | None, seed: int) -> None:
        self._denoiser = denoiser
        self.unet: UNet2DConditionModel = copy.deepcopy(denoiser.unet).float().eval().requires_grad_(rank is None)
        self._dtype = denoiser.unet.dtype
        if rank is not None:
            with torch.random.fork_rng():
                torch.manual_seed(seed)
                self.unet.add_adapter(LoraConfig(r=rank, lora_alpha=rank, target_modules=list(TARGETS)))
        self._layers = [one for one in self.unet.modules() if isinstance(one, LoraLayer)]
        self.learned = nn.ParameterList([one for one in self.unet.parameters() if one.requires_grad])

    def weigh(self, weight: float) -> None:
        """Let the LoRA act with this weight."""
        for layer in self._layers:
            layer.set_scale("default", weight)

    def predict(self, latents: Tensor, timesteps: Tensor, conditions: Sequence[Condition], room: int) -> Tensor:
        """The prediction for each row, float32, with gradients."""
        size = (latents.shape[-2], latents.shape[-1])
        with torch.no_grad():
            states, beside = self._denoiser.told(conditions, room, size)
        place = self.unet.device
        mixed = torch.autocast(place.type, self._dtype) if self._dtype != torch.float32 else nullcontext()
        with mixed:
            rows = latents.to(place, memory_format=torch.channels_last)
            given = {"added_cond_kwargs": beside, "return_dict": False}
            return self.unet(rows, timesteps.to(place), states.to(torch.float32, copy=True), **given)[0].float()


def loss_of(
    student: Student, places: Places, conditions: Sequence[Condition], goal: Goal, batch: int, room: int
) -> Callable[[nn.Module, np.random.Generator, float], Tensor]:
    """The share of the change that is not learned, over `batch` places by chance, at a weight that the goal draws."""
    counts = places.weights

    def loss(_: nn.Module, rng: np.random.Generator, __: float) -> Tensor:
        rows, weight = torch.from_numpy(rng.integers(len(counts), size=batch)), goal.weight(rng)
        student.weigh(weight)
        read = [conditions[i] for i in places.prompts[rows]]
        predicted = student.predict(places.latents[rows], places.timesteps[rows], read, room)
        wanted = places.alone[rows].lerp(places.targets[rows], weight)
        errors = (predicted - wanted.to(predicted.device)).square().mean((1, 2, 3))
        return (errors * counts[rows].to(predicted.device)).mean()

    return loss


def write_lora(student: Student, out: Path, layout: str, notes: Mapping[str, Any]) -> None:
    """Write the LoRA as safetensors in float16, whole or not at all. Raises `OutputError` if it cannot be written."""
    state: dict[str, Tensor] = {f"unet.{key}": value for key, value in get_peft_model_state_dict(student.unet).items()}
    if layout == "kohya":
        state = convert_state_dict_to_kohya(state)
    tensors = {key: value.detach().half().cpu().contiguous() for key, value in state.items()}
    raw = safetensors.torch.save(tensors, {"format": "pt", "negativa": json.dumps(notes)})
    write("out", out, raw)


def write_unet(student: Student, out: Path) -> None:
    """Write all weights as the folder of a diffusers U-Net in float16, in the place of an earlier one. Raises `OutputError`."""
    with output_folder("out", out) as part:
        try:
            copy.deepcopy(student.unet).half().save_pretrained(part)
        except SafetensorError as error:  # on a full disk
            raise OSError(error) from error
