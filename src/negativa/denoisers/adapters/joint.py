"""An adapter that fits a transformer of joint attention: Stable Diffusion 3 (InstantX), Flux (XLabs).

Nothing of it is in the transformer, which is read and left as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from diffusers import FluxTransformer2DModel, SD3Transformer2DModel
from torch import Tensor, nn

from negativa.denoisers.adapters.files import Checkpoint, Kind
from negativa.errors import InputError

JointNetwork = SD3Transformer2DModel | FluxTransformer2DModel


@dataclass(frozen=True, eq=False)
class JointAdapter:
    """As `Adapter`; `layers` has what diffusers calls a processor, with the weights, by the layer that it stands beside.

    That of Stable Diffusion 3 is `timed`: what is seen in a picture becomes tokens at the time of each step.
    """

    name: str
    kind: Kind
    hash: str
    projection: nn.Module
    layers: Mapping[nn.Module, nn.Module]
    width: int

    @property
    def timed(self) -> bool:
        return self.kind == "timed"

    @property
    def no_image(self) -> str:
        """What stood for no image when it was trained, of `NO_IMAGES`."""
        return "zeros" if self.timed else "black"

    def tokens(self, seen: Tensor) -> Tensor:
        """What a picture is to the layers, or, if timed, what is seen in it; (tokens, width), of (1, ...)."""
        return seen[0] if self.timed else self.projection(seen)[0]

    def at(self, seen: Tensor, time: Tensor) -> tuple[Tensor, Tensor]:
        """Of what is seen, (tokens, width), tokens at a time (), (tokens, width), and what is said of the time, (width,)."""
        tokens, said = self.projection(seen[None], time[None])
        return tokens[0], said[0]


def fit_joint(name: str, checkpoint: Checkpoint, network: JointNetwork) -> JointAdapter:
    """The adapter on the network's device, in its precision. Raises `InputError` if it was made for another family."""
    timed, blocks = isinstance(network, SD3Transformer2DModel), network.transformer_blocks
    projection, layers = dict(checkpoint.projection), dict(checkpoint.layers)
    given = layers if timed else [{"image_proj": projection, "ip_adapter": layers}]
    try:
        if checkpoint.kind != ("timed" if timed else "base") or len({key.partition(".")[0] for key in layers}) != len(blocks):
            raise ValueError("it was made for another family")
        made = network._convert_ip_adapter_image_proj_to_diffusers(projection, low_cpu_mem_usage=False)
        processors = network._convert_ip_adapter_attn_to_diffusers(given, low_cpu_mem_usage=False)
        beside = {block.attn: processors[f"transformer_blocks.{i}.attn.processor"] for i, block in enumerate(blocks)}
        for module in (made, *beside.values()):
            module.eval().requires_grad_(False).to(network.device, network.dtype)
        found = JointAdapter(name, checkpoint.kind, checkpoint.hash, made, beside, checkpoint.width)
        _try(found, network)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # diffusers looks keys up and loads them as they come
        raise InputError(
            f"adapter: {str(checkpoint.path)!r} is for {checkpoint.family} and does not fit; allowed: "
            f"{'that of InstantX for Stable Diffusion 3' if timed else 'that of XLabs for Flux'}, for {len(blocks)} blocks"
        ) from error
    return found


@torch.inference_mode()
def _try(adapter: JointAdapter, network: nn.Module) -> None:
    """Read nothing through it: whatever does not fit raises."""
    like = next(network.parameters())
    seen = like.new_zeros((1, 1, adapter.width) if adapter.timed else (1, adapter.width))
    tokens = adapter.at(seen[0], like.new_zeros(()))[0] if adapter.timed else adapter.tokens(seen)
    for layer in adapter.layers.values():
        (layer.to_k_ip if adapter.timed else layer.to_k_ip[0])(tokens)
