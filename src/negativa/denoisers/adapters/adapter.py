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
    """`projection` maps what is read, (1, ...), whose last side has `width` numbers, to tokens, (1, tokens, width of a token).

    `layers` has the weights of keys and values by the layer of the U-Net that they stand beside; `lora` what a face's adapter
    changes in all attention, A and B of B A by module.
    """

    name: str
    kind: Kind
    hash: str
    projection: nn.Module
    layers: Mapping[Attention, tuple[Tensor, Tensor]]
    width: int
    lora: Mapping[nn.Module, tuple[Tensor, Tensor]]

    @property
    def no_image(self) -> str:
        """What stood for no image when it was trained, of `NO_IMAGES`."""
        return "gray" if self.kind in ("plus", "full") else "zeros"

    def tokens(self, seen: Tensor) -> Tensor:
        """What a picture is to the layers, (tokens, width), of what is seen in it, (1, ...)."""
        return self.projection(seen)[0]


def fit(name: str, checkpoint: Checkpoint, unet: UNet2DConditionModel) -> Adapter:
    """The adapter on the U-Net's device, in its precision. Raises `InputError` if it was made for another family."""
    beside = reading_words(unet)
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
    layers, lora = dict(zip(beside, pairs, strict=True)), _lora(checkpoint, unet)
    return Adapter(name, checkpoint.kind, checkpoint.hash, projection, layers, checkpoint.width, lora)


def _lora(checkpoint: Checkpoint, unet: UNet2DConditionModel) -> dict[nn.Module, tuple[Tensor, Tensor]]:
    """What the file changes in the attention itself. Raises `InputError` if that does not fit."""
    given = {key: value for key, value in checkpoint.layers.items() if "lora" in key}
    found: dict[nn.Module, tuple[Tensor, Tensor]] = {}
    for i, name in enumerate(unet.attn_processors):
        layer = unet.get_submodule(name.removesuffix(".processor"))
        for part, module in (("to_q", layer.to_q), ("to_k", layer.to_k), ("to_v", layer.to_v), ("to_out", layer.to_out[0])):
            down, up = (given.pop(f"{i}.{part}_lora.{side}.weight", None) for side in ("down", "up"))
            if down is None and up is None:
                continue
            if down is None or up is None or (len(up), down.shape[-1], up.shape[-1]) != (*module.weight.shape, len(down)):
                raise InputError(f"adapter: {str(checkpoint.path)!r} does not fit: its LoRA is for another attention")
            found[module] = down, up
    if given:
        raise InputError(f"adapter: {str(checkpoint.path)!r} does not fit: there is no place for its {next(iter(given))!r}")
    return found


def reading_words(unet: UNet2DConditionModel) -> list[Attention]:
    """The layers that read words, in the order of the published numbers: down, up, middle."""
    names = [name.removesuffix(".processor") for name in unet.attn_processors if name.endswith("attn2.processor")]
    return [unet.get_submodule(name) for name in names]
