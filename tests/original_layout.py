"""Writes a pipeline as the single file that its family was first published as: the names of CompVis' and Stability's code."""

from __future__ import annotations

import re
from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline
from safetensors.torch import save_file

UNET = [
    (r"^time_embedding\.linear_1", "time_embed.0"),
    (r"^time_embedding\.linear_2", "time_embed.2"),
    (r"^add_embedding\.linear_1", "label_emb.0.0"),
    (r"^add_embedding\.linear_2", "label_emb.0.2"),
    (r"^conv_in", "input_blocks.0.0"),
    (r"^conv_norm_out", "out.0"),
    (r"^conv_out", "out.2"),
    (r"^mid_block\.resnets\.0", "middle_block.0"),
    (r"^mid_block\.attentions\.0", "middle_block.1"),
    (r"^mid_block\.resnets\.1", "middle_block.2"),
]
RESNET = [
    ("norm1", "in_layers.0"),
    ("conv1", "in_layers.2"),
    ("time_emb_proj", "emb_layers.1"),
    ("norm2", "out_layers.0"),
    ("conv2", "out_layers.3"),
    ("conv_shortcut", "skip_connection"),
]
VAE = [
    (r"down_blocks\.(\d)\.resnets\.", r"down.\1.block."),
    (r"down_blocks\.(\d)\.downsamplers\.0", r"down.\1.downsample"),
    (r"mid_block\.resnets\.0", "mid.block_1"),
    (r"mid_block\.resnets\.1", "mid.block_2"),
    (r"mid_block\.attentions\.0\.group_norm", "mid.attn_1.norm"),
    (r"mid_block\.attentions\.0\.to_(q|k|v)", r"mid.attn_1.\1"),
    (r"mid_block\.attentions\.0\.to_out\.0", "mid.attn_1.proj_out"),
    ("conv_shortcut", "nin_shortcut"),
    ("conv_norm_out", "norm_out"),
]
SECOND = [
    (r"^text_model\.encoder\.layers", "transformer.resblocks"),
    (r"^text_model\.embeddings\.token_embedding", "token_embedding"),
    (r"^text_model\.embeddings\.position_embedding\.weight", "positional_embedding"),
    (r"^text_model\.final_layer_norm", "ln_final"),
    (r"^text_projection\.weight", "text_projection"),
    (r"layer_norm(\d)", r"ln_\1"),
    (r"mlp\.fc1", "mlp.c_fc"),
    (r"mlp\.fc2", "mlp.c_proj"),
    ("self_attn", "attn"),
]


def write_single_file(pipeline: StableDiffusionPipeline | StableDiffusionXLPipeline, path: Path) -> None:
    """One .safetensors with "model.diffusion_model.", "first_stage_model.", "cond_stage_model." or "conditioner." weights."""
    twice = isinstance(pipeline, StableDiffusionXLPipeline)
    each = pipeline.unet.config.layers_per_block + 1
    blocks = len(pipeline.vae.config.block_out_channels)
    weights: dict[str, torch.Tensor] = {}
    for name, value in pipeline.unet.state_dict().items():
        weights["model.diffusion_model." + _unet(name, each)] = value
    for name, value in pipeline.vae.state_dict().items():
        was_convolution = "attentions.0.to_" in name and name.endswith("weight")
        weights["first_stage_model." + _vae(name, blocks)] = value[:, :, None, None] if was_convolution else value
    for name, value in pipeline.text_encoder.state_dict().items():
        old = name if name.startswith("text_model.") else f"text_model.{name}"
        weights[("conditioner.embedders.0.transformer." if twice else "cond_stage_model.transformer.") + old] = value
    if twice:
        second = _second(pipeline.text_encoder_2.state_dict())
        weights |= {f"conditioner.embedders.1.model.{name}": value for name, value in second.items()}
    save_file({name: value.contiguous() for name, value in weights.items()}, path)


def _unet(name: str, each: int) -> str:
    for new, old in UNET:
        name = re.sub(new, old, name)
    if found := re.match(r"(down|up)_blocks\.(\d)\.(\w+)\.(\d)\.(.*)", name):
        side, block, kind, layer, rest = found[1], int(found[2]), found[3], int(found[4]), found[5]
        if kind == "downsamplers":
            name = f"input_blocks.{block * each + each}.0.op.{rest.removeprefix('conv.')}"
        elif kind == "upsamplers":
            name = f"output_blocks.{block * each + each - 1}.{2 if block == 0 else 1}.{rest}"
        else:
            number = block * each + layer + (side == "down")
            name = f"{'input' if side == 'down' else 'output'}_blocks.{number}.{0 if kind == 'resnets' else 1}.{rest}"
    if "transformer_blocks" not in name:
        for new, old in RESNET:
            name = re.sub(rf"\b{new}\b", old, name)
    return name


def _second(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """OpenCLIP's names; queries, keys and values are one matrix there, and the projection is turned around."""
    found: dict[str, torch.Tensor] = {}
    for name, value in weights.items():
        joined = re.sub(r"q_proj\.(weight|bias)", r"in_proj_\1", name)
        if joined != name:
            value = torch.cat([weights[name.replace("q_proj", part)] for part in ("q_proj", "k_proj", "v_proj")])
        for new, old in SECOND:
            joined = re.sub(new, old, joined)
        if not re.search("[kv]_proj", joined):
            found[joined] = value.T if joined == "text_projection" else value
    return found


def _vae(name: str, blocks: int) -> str:
    for new, old in VAE:
        name = re.sub(new, old, name)
    return re.sub(
        r"up_blocks\.(\d)\.(resnets\.|upsamplers\.0)",
        lambda m: f"up.{blocks - 1 - int(m[1])}.{'block.' if m[2] == 'resnets.' else 'upsample'}",
        name,
    )
