"""Terrarium's denoiser: a Stable Diffusion U-Net."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from negativa.language.files import output
from negativa.terrarium.reader import to_tensor
from negativa.training.clip import WIDTH
from negativa.training.denoising import BATCH, denoising, weighted
from negativa.training.examples import Examples
from negativa.training.mixed import mixed
from negativa.training.progress import Progress
from negativa.training.tokenizer import tokens


def build() -> UNet2DConditionModel:
    """The untrained network."""
    unet = UNet2DConditionModel(
        sample_size=16,
        in_channels=8,
        out_channels=8,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=(64, 128, 192),
        layers_per_block=1,
        cross_attention_dim=WIDTH,
        attention_head_dim=4,  # heads, despite its name
        norm_num_groups=16,
    )
    unet.set_attn_processor(AttnProcessor())  # plain products: their backward pass in bfloat16 is five times faster on a CPU
    return unet


def scheduler() -> DDIMScheduler:
    """The noise schedule of Stable Diffusion 2 base: 1000 steps, scaled linear, noise prediction."""
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        timestep_spacing="linspace",
    )


def means_of(vae: AutoencoderKL, pictures: np.ndarray, device: torch.device, kept: Path) -> Generator[Progress, None, Tensor]:
    """Encode all pictures, and tell of it; returns latents (n, 8, 16, 16) as the autoencoder makes them, kept in a file."""
    if not kept.exists():
        encoded: list[Tensor] = []
        for i in range(0, len(pictures), BATCH):
            with torch.no_grad(), mixed(device):
                encoded.append(vae.encode(to_tensor(pictures[i : i + BATCH]).to(device)).latent_dist.mean.float().cpu())
            yield Progress("encoding", min(i + BATCH, len(pictures)), len(pictures))
        with output("folder", kept) as file:
            torch.save(torch.cat(encoded), file)
    return torch.load(kept, weights_only=True, map_location=device)


@torch.no_grad()
def read(text_encoder: CLIPTextModel, tokenizer: CLIPTokenizer, texts: list[str]) -> Tensor:
    """What the text encoder makes of captions, (n, 77, width); what is said several times is read once."""
    distinct = {text: row for row, text in enumerate(dict.fromkeys(texts))}
    states = text_encoder(tokens(tokenizer, [*distinct]).to(text_encoder.device)).last_hidden_state
    return states[[distinct[text] for text in texts]]


def loss(
    unet: UNet2DConditionModel,
    text_encoder: CLIPTextModel,
    latents: Tensor,
    examples: Examples,
    tokenizer: CLIPTokenizer,
    signal: Tensor,
    rng: np.random.Generator,
) -> Tensor:
    """Mean squared error of the predicted noise (Ho et al. 2020, arXiv 2006.11239, equation 14), weighted by timestep.

    The text encoder is given, as in Stable Diffusion.
    """
    rows, texts = examples.draw(rng, BATCH)
    batch = denoising(latents, signal, rng, rows)
    with mixed(latents.device):
        states = read(text_encoder, tokenizer, texts)
        predicted = unet(batch.noisy, batch.timesteps, states, return_dict=False)[0]
    return weighted(predicted, batch)
