"""Terrarium's denoiser: a Stable Diffusion U-Net."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from negativa.terrarium.captions import caption
from negativa.training.clip import WIDTH
from negativa.training.data import truth_of
from negativa.training.progress import Progress
from negativa.training.tokenizer import tokens
from negativa.training.vae import to_tensor

BATCH = 64
WEIGHT = -0.75  # power of the signal's share: 0 weighs as noise prediction does, which hardly counts the noisiest steps,
# though guidance decides most in them; -1 as velocity prediction (Salimans and Ho 2022, arXiv 2202.00512)


def build() -> UNet2DConditionModel:
    """The untrained network."""
    unet = UNet2DConditionModel(
        sample_size=16,
        in_channels=4,
        out_channels=4,
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


def latents_of(vae: AutoencoderKL, pictures: np.ndarray, device: torch.device, kept: Path) -> Generator[Progress, None, Tensor]:
    """Encode all pictures, and tell of it; returns latents (n, 4, 16, 16) at unit deviation, kept in a file.

    Sets the autoencoder's scaling factor.
    """
    if not kept.exists():
        encoded: list[Tensor] = []
        for i in range(0, len(pictures), BATCH):
            with torch.no_grad(), torch.autocast(device.type, torch.bfloat16):
                encoded.append(vae.encode(to_tensor(pictures[i : i + BATCH]).to(device)).latent_dist.mean.float().cpu())
            yield Progress("encoding", min(i + BATCH, len(pictures)), len(pictures))
        torch.save(torch.cat(encoded), kept.with_suffix(".part"))
        kept.with_suffix(".part").replace(kept)
    means = torch.load(kept, weights_only=True, map_location=device)
    vae.register_to_config(scaling_factor=float(1 / means.std()))
    return means * vae.config.scaling_factor


@dataclass(frozen=True)
class Denoising:
    """What a batch asks of the network: to find `noise` in `noisy` latents at `timesteps`, of the pictures `rows`.

    `share` is the clean latents' part of the variance.
    """

    rows: np.ndarray
    noisy: Tensor
    timesteps: Tensor
    share: Tensor
    noise: Tensor


def denoising(latents: Tensor, signal: Tensor, rng: np.random.Generator, among: np.ndarray | None = None) -> Denoising:
    """A batch of latents with noise. Timesteps are spread evenly over it, which makes the gradient less noisy.

    `signal` is the schedule's cumulative alpha at every training timestep; `among` numbers the pictures to draw from, all
    if None.
    """
    rows = rng.integers(len(latents), size=BATCH) if among is None else rng.choice(among, BATCH)
    steps = ((np.arange(BATCH) + rng.random(BATCH)) / BATCH * len(signal)).astype(np.int64)
    timesteps = torch.from_numpy(steps).to(latents.device)
    clean = latents[torch.from_numpy(rows).to(latents.device)]
    noise = torch.from_numpy(rng.standard_normal(clean.shape, dtype=np.float32)).to(latents.device)
    share = signal[timesteps]
    kept, lost = share.sqrt().view(-1, 1, 1, 1), (1 - share).sqrt().view(-1, 1, 1, 1)
    return Denoising(rows, kept * clean + lost * noise, timesteps, share, noise)


def weighted(predicted: Tensor, batch: Denoising) -> Tensor:
    """The mean squared error of the predicted noise, noisy steps counting for more."""
    errors = (predicted.float() - batch.noise).square().mean((1, 2, 3))
    return (errors * batch.share**WEIGHT).mean()


@torch.no_grad()
def read(text_encoder: CLIPTextModel, tokenizer: CLIPTokenizer, texts: list[str]) -> Tensor:
    """What the text encoder makes of captions, (n, 77, width)."""
    return text_encoder(tokens(tokenizer, texts).to(text_encoder.device)).last_hidden_state


def loss(
    unet: UNet2DConditionModel,
    text_encoder: CLIPTextModel,
    latents: Tensor,
    truths: np.ndarray,
    tokenizer: CLIPTokenizer,
    signal: Tensor,
    rng: np.random.Generator,
) -> Tensor:
    """Mean squared error of the predicted noise (Ho et al. 2020, arXiv 2006.11239, equation 14), weighted by timestep.

    Captions are written anew every time a picture is seen. The text encoder is given, as in Stable Diffusion.
    """
    batch = denoising(latents, signal, rng)
    texts = [caption(truth_of(truths[row]), rng) for row in batch.rows]
    with torch.autocast(latents.device.type, torch.bfloat16):
        states = read(text_encoder, tokenizer, texts)
        predicted = unet(batch.noisy, batch.timesteps, states, return_dict=False)[0]
    return weighted(predicted, batch)
