"""Terrarium's autoencoder: 128x128 pictures to 16x16 latents of eight channels, and back."""

from __future__ import annotations

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor

CROP = 64
WHOLE_FROM = 0.8  # the last fifth of the training sees whole pictures, which have borders
KL_WEIGHT = 2e-4
EARLIER_WEIGHT = 0.02


def build() -> AutoencoderKL:
    """The untrained network."""
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(24, 48, 96, 128),
        layers_per_block=1,
        latent_channels=8,
        norm_num_groups=8,
        sample_size=128,
        mid_block_add_attention=False,
    )


def to_tensor(pictures: np.ndarray) -> Tensor:
    """Pictures (n, h, w, 3), uint8, to (n, 3, h, w) in -1..1."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1


def loss(
    vae: AutoencoderKL,
    pictures: np.ndarray,
    rng: np.random.Generator,
    share: float,
    device: torch.device,
    earlier: AutoencoderKL | None = None,
) -> Tensor:
    """Squared and absolute error of the reconstruction, and a little Kullback-Leibler pull to the unit normal.

    Crops of 64x64 (convolutions do not mind), whole pictures at the end. The first channels stay near what an `earlier`
    autoencoder makes of the picture, so that a U-Net that knows its latents knows these.
    """
    if share < WHOLE_FROM:
        rows = rng.integers(len(pictures), size=16)
        corners = rng.integers(pictures.shape[1] - CROP + 1, size=(16, 2))
        cut = [pictures[r, y : y + CROP, x : x + CROP] for r, (y, x) in zip(rows, corners, strict=True)]
        chosen = np.stack(cut)
    else:
        chosen = pictures[rng.integers(len(pictures), size=4)]
    target = to_tensor(chosen).to(device)
    with torch.autocast(device.type, torch.bfloat16):
        posterior = vae.encode(target).latent_dist
        noise = torch.from_numpy(rng.standard_normal(posterior.mean.shape, dtype=np.float32)).to(device)
        restored = vae.decode(posterior.mean + posterior.std * noise).sample
    error = restored.float() - target
    value = error.square().mean() + 0.1 * error.abs().mean() + KL_WEIGHT * posterior.kl().mean() / posterior.mean[0].numel()
    if earlier is not None:
        with torch.no_grad(), torch.autocast(device.type, torch.bfloat16):
            known = earlier.encode(target).latent_dist.mean.float()
        value = value + EARLIER_WEIGHT * (posterior.mean[:, : known.shape[1]].float() - known).square().mean()
    return value
