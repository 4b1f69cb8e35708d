"""Terrarium's reader: from a picture to the probability of every attribute, trained on painted truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn
from transformers import ResNetConfig, ResNetForImageClassification

from negativa.terrarium.painter import ATTRIBUTES, FLAWED
from negativa.terrarium.reader import to_tensor
from negativa.terrarium.styles import STYLES
from negativa.training.mixed import mixed

BATCH = 64
JITTER = 0.1  # of unit-scaled latents, since generated ones are not the autoencoder's own
RARE = (*STYLES, *FLAWED)
OFTEN = 3.0


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
        with mixed(device):
            latents = vae.encode(to_tensor(pictures[i : i + 32]).to(device)).latent_dist.mean
            noise = torch.from_numpy(rng.standard_normal(latents.shape, dtype=np.float32)).to(device)
            strength = torch.from_numpy(rng.uniform(0, jitter, (len(latents), 1, 1, 1)).astype(np.float32)).to(device)
            restored = vae.decode(latents + noise * strength / vae.config.scaling_factor).sample.float()
        pixels = ((restored.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1)
        done.append(pixels.cpu().numpy())
    return np.concatenate(done)


@dataclass(frozen=True)
class Lessons:
    """What the reader learns from: pictures (n, h, w, 3), uint8, their truths (n, attributes), and how often each is shown."""

    pictures: np.ndarray
    truths: np.ndarray
    shares: np.ndarray


def lessons(vae: AutoencoderKL, pictures: np.ndarray, truths: np.ndarray, device: torch.device, seed: int) -> Lessons:
    """Paintings, and a third as many as the autoencoder restores them, which are half of what is shown.

    Pictures with a rare style, a flaw or something extra are shown `OFTEN` times as often as others: it is them that the
    autoencoder makes hard to tell, and few have any.
    """
    odd = truths[:, [ATTRIBUTES.index(name) for name in RARE]].any(1)
    often = np.where(odd, OFTEN, 1.0)
    rows = np.sort(np.random.default_rng(seed).choice(len(pictures), len(pictures) // 3, replace=False, p=often / often.sum()))
    restored = through(vae, pictures[rows], device, JITTER, seed)
    shares = np.concatenate([often / often.sum() / 2, np.full(len(rows), 0.5 / len(rows))])
    return Lessons(np.concatenate([pictures, restored]), np.concatenate([truths, truths[rows]]), shares)


def loss(reader: nn.Module, lessons: Lessons, rng: np.random.Generator, device: torch.device) -> Tensor:
    """Binary cross-entropy over all attributes, on pictures slightly brighter, darker or shifted than painted."""
    rows = rng.choice(len(lessons.pictures), BATCH, p=lessons.shares)
    shift = rng.integers(-4, 5, size=2)
    pixels = to_tensor(np.roll(lessons.pictures[rows], tuple(int(v) for v in shift), axis=(1, 2))).to(device)
    gain = torch.from_numpy(rng.uniform(0.95, 1.05, (BATCH, 1, 1, 1)).astype(np.float32)).to(device)
    target = torch.from_numpy(lessons.truths[rows].astype(np.float32)).to(device)
    with mixed(device):
        logits = reader(pixels * gain).logits
    return nn.functional.binary_cross_entropy_with_logits(logits.float(), target)


def calibrate(reader: ResNetForImageClassification, pictures: np.ndarray, truths: np.ndarray, device: torch.device) -> None:
    """Make the probabilities mean what they say on pictures that the reader has not learned from (Platt 1999).

    Each attribute's logit gets a factor and an offset, pulled a little towards 1 and 0, folded into the last layer.
    """
    with torch.no_grad():
        seen = [reader(to_tensor(pictures[i : i + BATCH]).to(device)).logits for i in range(0, len(pictures), BATCH)]
    logits, target = torch.cat(seen).float(), torch.from_numpy(truths.astype(np.float32)).to(device)
    factor = torch.zeros(logits.shape[1], device=device, requires_grad=True)  # its logarithm
    offset = torch.zeros(logits.shape[1], device=device, requires_grad=True)
    optimiser = torch.optim.LBFGS([factor, offset], max_iter=100, line_search_fn="strong_wolfe")

    def step() -> Tensor:
        optimiser.zero_grad()
        error = nn.functional.binary_cross_entropy_with_logits(logits * factor.exp() + offset, target, reduction="sum")
        value = error + factor.square().sum() + offset.square().sum()
        value.backward()
        return value

    optimiser.step(step)
    last = reader.classifier[-1]
    with torch.no_grad():
        last.weight.mul_(factor.exp()[:, None])
        last.bias.mul_(factor.exp()).add_(offset)
