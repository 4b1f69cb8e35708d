"""Terrarium's image prompts: IP-Adapters (Ye et al. 2023, arXiv 2308.06721), base and Plus, in their published layout."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor, IPAdapterAttnProcessor2_0
from diffusers.models.embeddings import ImageProjection, IPAdapterPlusImageProjection
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer, CLIPVisionModelWithProjection

from negativa.denoisers.adapters.adapter import reading_words
from negativa.denoisers.adapters.encoder import features_of
from negativa.terrarium.canvas import SIZE
from negativa.terrarium.captions import caption
from negativa.terrarium.reader import to_tensor
from negativa.training.data import truth_of
from negativa.training.denoising import BATCH, denoising, weighted
from negativa.training.diffusion import read
from negativa.training.mixed import mixed

TOKENS: Final = {"base": 4, "plus": 16}
HEAD: Final = 64  # width of a head of the Plus resampler, which readers of the layout take for granted
NO_TEXT, NO_IMAGE, NEITHER = 0.5, 0.05, 0.05  # shares of a batch
NOISIER = 2.0  # what little noise hides needs no image prompt: below timestep 400 one changed the loss by less than 1 %
RENAMED: Final = (  # from diffusers' names to the published ones, of a layer of the Plus resampler
    ("ln0", "0.norm1"),
    ("ln1", "0.norm2"),
    ("attn.to_q", "0.to_q"),
    ("attn.to_out.0", "0.to_out"),
    ("ff.0", "1.0"),
    ("ff.1.net.0.proj", "1.1"),
    ("ff.1.net.2", "1.3"),
)


def attach(unet: UNet2DConditionModel, kind: str, width: int, earlier: Mapping[str, Tensor] | None = None) -> nn.ModuleList:
    """Give a U-Net an adapter for picture features of this width; returns the parts that are to be trained.

    It begins as an `earlier` one, as `checkpoint` says it, or untrained, reading pictures as the U-Net reads words.
    """
    text = unet.config.cross_attention_dim
    if kind == "base":
        layer: nn.Module = ImageProjection(image_embed_dim=width, cross_attention_dim=text, num_image_text_embeds=4)
    else:
        layer = IPAdapterPlusImageProjection(
            embed_dims=width, output_dims=text, hidden_dims=width, heads=width // HEAD, num_queries=TOKENS[kind]
        )
    state = {"image_proj": published(layer), "ip_adapter": {}}
    for i, module in enumerate(reading_words(unet)):
        for part in ("to_k", "to_v"):
            state["ip_adapter"][f"{2 * i + 1}.{part}_ip.weight"] = getattr(module, part).weight.detach().clone()
    for name, value in (earlier or {}).items():
        half, _, weight = name.partition(".")
        state[half][weight] = value.float()
    unet._load_ip_adapter_weights([state], low_cpu_mem_usage=False)
    unet.requires_grad_(False)
    processors = [p for p in unet.attn_processors.values() if isinstance(p, IPAdapterAttnProcessor2_0)]
    return nn.ModuleList([unet.encoder_hid_proj, *processors]).requires_grad_(True)


def published(layer: nn.Module) -> dict[str, Tensor]:
    """A projection's weights under the names of the published checkpoints."""
    state = dict(layer.state_dict())
    if isinstance(layer, ImageProjection):
        return {name.replace("image_embeds", "proj"): value for name, value in state.items()}
    for name in [name for name in state if name.endswith("attn.to_k.weight")]:
        key, value = state.pop(name), state.pop(name.replace("to_k", "to_v"))
        state[name.replace("attn.to_k", "0.to_kv")] = torch.cat([key, value])
    for ours, theirs in RENAMED:
        state = {name.replace(f".{ours}.", f".{theirs}."): value for name, value in state.items()}
    return state


def projection(unet: UNet2DConditionModel) -> nn.Module:
    """What makes tokens of picture features in the adapter of a U-Net."""
    return unet.encoder_hid_proj.image_projection_layers[0]


def checkpoint(unet: UNet2DConditionModel) -> dict[str, Tensor]:
    """The adapter of a U-Net as one flat dictionary, `image_proj.*` and `ip_adapter.*`."""
    flat = {f"image_proj.{name}": value for name, value in published(projection(unet)).items()}
    for i, module in enumerate(reading_words(unet)):
        processor = module.processor
        flat[f"ip_adapter.{2 * i + 1}.to_k_ip.weight"] = processor.to_k_ip[0].weight
        flat[f"ip_adapter.{2 * i + 1}.to_v_ip.weight"] = processor.to_v_ip[0].weight
    return {name: value.detach().contiguous() for name, value in flat.items()}


def detach(unet: UNet2DConditionModel) -> None:
    """Take the adapter away again."""
    unet.encoder_hid_proj = None
    unet.register_to_config(encoder_hid_dim_type=None)
    unet.set_attn_processor(AttnProcessor())


def nothing(vision: CLIPVisionModelWithProjection, kind: str) -> Tensor:
    """What it is given for no picture: zeros (base), or what a middle gray looks like (Plus)."""
    gray = torch.zeros(1, 3, SIZE, SIZE)
    return features_of(vision, gray, kind) * (kind == "plus")


def imitation(
    plus: nn.Module, base: nn.Module, vision: CLIPVisionModelWithProjection, pictures: np.ndarray, rng: np.random.Generator
) -> Tensor:
    """How far a Plus projection is from saying what a base one says of pictures, and of none: its 4 tokens, 4 times over."""
    pixels, none = to_tensor(pictures[rng.integers(len(pictures), size=BATCH)]), round(NEITHER * BATCH)
    with mixed(vision.device):
        with torch.no_grad():
            shown = {kind: features_of(vision, pixels, kind) for kind in ("base", "plus")}
            for kind, seen in shown.items():
                seen[:none] = nothing(vision, kind).to(seen.dtype)
            wanted = base(shown["base"]).repeat(1, TOKENS["plus"] // TOKENS["base"], 1)
        said = plus(shown["plus"])
    return nn.functional.mse_loss(said.float(), wanted.float())


def loss(
    unet: UNet2DConditionModel,
    text_encoder: CLIPTextModel,
    vision: CLIPVisionModelWithProjection,
    kind: str,
    latents: Tensor,
    pictures: np.ndarray,
    truths: np.ndarray,
    tokenizer: CLIPTokenizer,
    signal: Tensor,
    rng: np.random.Generator,
) -> Tensor:
    """The denoiser's loss, with each picture as its own image prompt.

    Caption, picture or both are left out part of the time, so that each can be guided alone.
    """
    device = latents.device
    batch = denoising(latents, signal, rng, noisier=NOISIER)
    fate = rng.random(len(batch.rows))
    texts = [
        "" if chance < NO_TEXT + NEITHER else caption(truth_of(truths[row]), rng)
        for row, chance in zip(batch.rows, fate, strict=True)
    ]
    left_out = torch.from_numpy((fate < NEITHER) | (fate >= 1 - NO_IMAGE)).to(device)
    with mixed(device):
        with torch.no_grad():
            shown = features_of(vision, to_tensor(pictures[batch.rows]), kind)[:, None]  # (rows, pictures, ...): one each
            shown[left_out] = nothing(vision, kind).to(shown.dtype)
        states = read(text_encoder, tokenizer, texts)
        conditions = {"image_embeds": [shown]}
        predicted = unet(batch.noisy, batch.timesteps, states, added_cond_kwargs=conditions, return_dict=False)[0]
    return weighted(predicted, batch)
