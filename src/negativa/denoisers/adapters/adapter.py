"""An adapter that fits a U-Net: what makes tokens of pictures, and its own keys and values for every layer that reads words.

Nothing of it is in the U-Net, which is read and left as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import Attention
from torch import Tensor, nn

from negativa.denoisers.adapters.files import Checkpoint, Kind
from negativa.errors import InputError


@dataclass(frozen=True, eq=False)
class Adapter:
    """`projection` maps what the image encoder says, (1, ...), to tokens, (1, tokens, width).

    `layers` has the weights of keys and values, (inner width, width) each, by the layer of the U-Net that they stand beside.
    """

    name: str
    kind: Kind
    hash: str
    projection: nn.Module
    layers: Mapping[Attention, tuple[Tensor, Tensor]]


def fit(name: str, checkpoint: Checkpoint, unet: UNet2DConditionModel) -> Adapter:
    """The adapter on the U-Net's device, in its precision. Raises `InputError` if it was made for another family."""
    beside = _reading_words(unet)
    wanted = {
        f"{2 * i + 1}.{part}_ip.weight": tuple(getattr(layer, part).weight.shape)
        for i, layer in enumerate(beside)
        for part in ("to_k", "to_v")
    }
    found = {key: tuple(value.shape) for key, value in checkpoint.layers.items() if "lora" not in key}
    if found != wanted:
        raise InputError(
            f"adapter: {str(checkpoint.path)!r} is for {checkpoint.family} and does not fit; allowed: keys and values for "
            f"{len(beside)} layers that read words of the width {unet.config.cross_attention_dim}"
        )
    try:
        projection = unet._convert_ip_adapter_image_proj_to_diffusers(dict(checkpoint.projection), low_cpu_mem_usage=False)
    except Exception as error:  # diffusers looks keys up and loads them as they come
        raise InputError(f"adapter: {str(checkpoint.path)!r} is damaged: its 'image_proj' is not whole") from error
    projection.eval().requires_grad_(False).to(unet.device, unet.dtype)
    weights = {key: value.to(unet.device, unet.dtype) for key, value in checkpoint.layers.items()}
    pairs = [tuple(weights[f"{2 * i + 1}.{part}_ip.weight"] for part in ("to_k", "to_v")) for i in range(len(beside))]
    return Adapter(name, checkpoint.kind, checkpoint.hash, projection, dict(zip(beside, pairs, strict=True)))


def _reading_words(unet: UNet2DConditionModel) -> list[Attention]:
    """The layers that read words, in the order of the published numbers: down, up, middle."""
    names = [name.removesuffix(".processor") for name in unet.attn_processors if name.endswith("attn2.processor")]
    return [unet.get_submodule(name) for name in names]
