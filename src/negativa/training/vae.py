"""Terrarium's autoencoder: 128x128 pictures to 16x16 latents of eight channels, and back."""

from __future__ import annotations

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn

from negativa.terrarium.reader import to_tensor
from negativa.training.mixed import mixed

CROP = 64
WHOLE_FROM = 0.8  # the last fifth of the training sees whole pictures, which have borders
KL_WEIGHT = 2e-4
EARLIER_WEIGHT = 0.02
LATER = 0.7  # deviation of new latent channels, of that of the earlier ones: they hold details, which are drawn last
JITTER = 0.15  # noise on the latents that the decoder is finished with, of their deviation: generated ones are not exact


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
    with mixed(device):
        posterior = vae.encode(target).latent_dist
        noise = torch.from_numpy(rng.standard_normal(posterior.mean.shape, dtype=np.float32)).to(device)
        restored = vae.decode(posterior.mean + posterior.std * noise).sample
    error = restored.float() - target
    value = error.square().mean() + 0.1 * error.abs().mean() + KL_WEIGHT * posterior.kl().mean() / posterior.mean[0].numel()
    if earlier is not None:
        with torch.no_grad(), mixed(device):
            known = earlier.encode(target).latent_dist.mean.float()
        value = value + EARLIER_WEIGHT * (posterior.mean[:, : known.shape[1]].float() - known).square().mean()
    return value


@torch.no_grad()
def balance(vae: AutoencoderKL, means: Tensor, earlier: int) -> Tensor:
    """Give all latent channels after the first `earlier` ones `LATER` of their deviation; pictures stay what they are.

    `means` (n, channels, height, width) are latents of this autoencoder; returns them as it makes them afterwards.
    """
    deviation = means.std((0, 2, 3))
    factors = torch.ones_like(deviation)
    factors[earlier:] = LATER * deviation[:earlier].mean() / deviation[earlier:]
    both = torch.cat([factors, factors])
    both[len(factors) :] = 1  # log-variances are moved, not scaled
    vae.quant_conv.weight *= both[:, None, None, None]
    vae.quant_conv.bias *= both
    vae.quant_conv.bias[len(factors) :] += 2 * factors.log()
    vae.post_quant_conv.weight /= factors[None, :, None, None]
    return means * factors[None, :, None, None]


def decoding(vae: AutoencoderKL) -> nn.ModuleDict:
    """The half that decodes."""
    return nn.ModuleDict({"post_quant_conv": vae.post_quant_conv, "decoder": vae.decoder})


def decoder_loss(half: nn.ModuleDict, pictures: np.ndarray, latents: Tensor, rng: np.random.Generator, share: float) -> Tensor:
    """The error of pictures decoded from their latents (n, channels, height, width) with some noise; crops, then whole ones."""
    side, cut, count = latents.shape[-1], CROP // 8, 16
    if share >= WHOLE_FROM:
        cut, count = side, 4
    rows = rng.integers(len(pictures), size=count)
    corners = rng.integers(side - cut + 1, size=(count, 2))
    places = [(row, slice(y, y + cut), slice(x, x + cut)) for row, (y, x) in zip(rows, corners, strict=True)]
    target = np.stack([pictures[r, 8 * y.start : 8 * y.stop, 8 * x.start : 8 * x.stop] for r, y, x in places])
    given = torch.stack([latents[r, :, y, x] for r, y, x in places])
    noise = torch.from_numpy(rng.standard_normal(given.shape, dtype=np.float32)).to(given.device)
    strength = torch.from_numpy(rng.uniform(0, JITTER, (count, 1, 1, 1)).astype(np.float32)).to(given.device)
    with mixed(given.device):
        restored = half["decoder"](half["post_quant_conv"](given + noise * strength * given.std()))
    error = restored.float() - to_tensor(target).to(given.device)
    return error.square().mean() + 0.1 * error.abs().mean()
