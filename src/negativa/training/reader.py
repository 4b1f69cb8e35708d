"""Terrarium's reader: from a picture to the probability of every attribute, trained on painted truth."""

from __future__ import annotations

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn
from transformers import ResNetConfig, ResNetForImageClassification

from negativa.terrarium.painter import ATTRIBUTES
from negativa.training.vae import to_tensor

BATCH = 64


def build() -> ResNetForImageClassification:
    """The untrained network; its labels are the attributes."""
    config = ResNetConfig(
        embedding_size=32,
        hidden_sizes=[32, 64, 96, 160],
        depths=[1, 1, 1, 1],
        layer_type="basic",
        problem_type="multi_label_classification",
        id2label=dict(enumerate(ATTRIBUTES)),
        label2id={name: i for i, name in enumerate(ATTRIBUTES)},
    )
    return ResNetForImageClassification(config)


@torch.no_grad()
def through(vae: AutoencoderKL, pictures: np.ndarray, device: torch.device, jitter: float, seed: int) -> np.ndarray:
    """The pictures after encoding and decoding, uint8, as generated ones look; `jitter` is noise on unit-scaled latents."""
    rng = np.random.default_rng(seed)
    done: list[np.ndarray] = []
    for i in range(0, len(pictures), 32):
        with torch.autocast(device.type, torch.bfloat16):
            latents = vae.encode(to_tensor(pictures[i : i + 32]).to(device)).latent_dist.mean
            noise = torch.from_numpy(rng.standard_normal(latents.shape, dtype=np.float32)).to(device)
            strength = torch.from_numpy(rng.uniform(0, jitter, (len(latents), 1, 1, 1)).astype(np.float32)).to(device)
            restored = vae.decode(latents + noise * strength / vae.config.scaling_factor).sample.float()
        pixels = ((restored.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1)
        done.append(pixels.cpu().numpy())
    return np.concatenate(done)


def loss(reader: nn.Module, pictures: np.ndarray, truths: np.ndarray, rng: np.random.Generator, device: torch.device) -> Tensor:
    """Binary cross-entropy over all attributes, on pictures slightly brighter, darker or shifted than painted."""
    rows = rng.integers(len(pictures), size=BATCH)
    shift = rng.integers(-4, 5, size=2)
    pixels = to_tensor(np.roll(pictures[rows], tuple(int(v) for v in shift), axis=(1, 2))).to(device)
    gain = torch.from_numpy(rng.uniform(0.9, 1.1, (BATCH, 1, 1, 1)).astype(np.float32)).to(device)
    target = torch.from_numpy(truths[rows].astype(np.float32)).to(device)
    with torch.autocast(device.type, torch.bfloat16):
        logits = reader(pixels * gain).logits
    return nn.functional.binary_cross_entropy_with_logits(logits.float(), target)
