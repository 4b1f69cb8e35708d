"""What a denoiser learns from: latents with noise, and what is to be found in them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

BATCH = 64
WEIGHT = -0.75  # power of the signal's share: 0 weighs as noise prediction does, which hardly counts the noisiest steps,
# though guidance decides most in them; -1 as velocity prediction (Salimans and Ho 2022, arXiv 2202.00512)


@dataclass(frozen=True)
class Denoising:
    """What a batch asks of the network: to find `target` in `noisy` latents at `timesteps`, of the pictures `rows`.

    `share` is the clean latents' part of the variance.
    """

    rows: np.ndarray
    noisy: Tensor
    timesteps: Tensor
    share: Tensor
    target: Tensor


def denoising(
    latents: Tensor,
    signal: Tensor,
    rng: np.random.Generator,
    rows: np.ndarray | None = None,
    count: int = BATCH,
    velocity: bool = False,
    noisier: float = 1.0,
) -> Denoising:
    """Latents with noise: those numbered `rows`, or `count` of them by chance if None.

    Timesteps are spread evenly over them, which makes the gradient less noisy; with `noisier` n, each is like the largest of n
    even ones. `signal` is the schedule's cumulative alpha at every training timestep. The target is the noise, or the
    `velocity` (Salimans and Ho 2022, arXiv 2202.00512, section 4).
    """
    rows = rng.integers(len(latents), size=count) if rows is None else rows
    spread = (np.arange(len(rows)) + rng.random(len(rows))) / len(rows)
    steps = (spread ** (1 / noisier) * len(signal)).astype(np.int64)
    timesteps = torch.from_numpy(steps).to(latents.device)
    clean = latents[torch.from_numpy(rows).to(latents.device)]
    noise = torch.from_numpy(rng.standard_normal(clean.shape, dtype=np.float32)).to(latents.device)
    share = signal[timesteps]
    kept, lost = share.sqrt().view(-1, 1, 1, 1), (1 - share).sqrt().view(-1, 1, 1, 1)
    target = kept * noise - lost * clean if velocity else noise
    return Denoising(rows, kept * clean + lost * noise, timesteps, share, target)


def weighted(predicted: Tensor, batch: Denoising, power: float = WEIGHT) -> Tensor:
    """The mean squared error of what was predicted; below zero, `power` lets noisy steps count for more."""
    errors = (predicted.float() - batch.target).square().mean((1, 2, 3))
    return (errors * batch.share**power).mean()
