"""The parts on their own: the autoencoder's error, the reader's, CLIP's, on paintings that no part has seen."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import torch
from common import Bar, Readings, read, studio
from PIL import Image
from transformers import CLIPModel, CLIPTokenizer

from negativa.denoisers.checkpoints import BUILT_IN
from negativa.terrarium import ATTRIBUTES, paint
from negativa.terrarium.captions import caption
from negativa.terrarium.flaws import FLAWS
from negativa.terrarium.reader import to_tensor
from negativa.terrarium.scene import Truth

HELD_OUT = 1000
CHOICES = 100


@cache
def held_out() -> tuple[list[Image.Image], list[Truth]]:
    pairs = [paint(np.random.default_rng([1, i])) for i in range(HELD_OUT)]
    return [picture for picture, _ in pairs], [truth for _, truth in pairs]


@torch.inference_mode()
def through(picture: Image.Image) -> Image.Image:
    """A picture after the autoencoder."""
    denoiser = studio().denoiser
    return denoiser.decode(denoiser.to_latents(to_tensor(np.asarray(picture)[None].copy())))[0]  # type: ignore[attr-defined]


def psnr(first: Image.Image, second: Image.Image) -> float:
    """Peak signal to noise ratio, decibels."""
    error = np.mean((np.asarray(first, float) - np.asarray(second, float)) ** 2)
    return 10 * math.log10(255**2 / error)


def bars() -> list[Bar]:
    pictures, truths = held_out()
    restored = [through(picture) for picture in pictures]
    noise = float(np.mean([psnr(a, b) for a, b in zip(pictures, restored, strict=True)]))
    plain, balanced = accuracies(read(restored), truths)
    attribute = min((name for name in plain if name not in FLAWS), key=plain.__getitem__)
    flaw, hardest = min(FLAWS, key=plain.__getitem__), min(balanced, key=balanced.__getitem__)
    return [
        Bar(f"autoencoder, {HELD_OUT} held-out paintings", noise, 28, "dB"),
        Bar(f"reader after it: accuracy, the worst attribute ({attribute})", plain[attribute], 98),
        Bar(f"reader after it: accuracy, the worst flaw ({flaw})", plain[flaw], 95),
        Bar("the same, pictures with and without counting alike: mean", float(np.mean([*balanced.values()])), None),
        Bar(f"the same: worst ({hardest})", balanced[hardest], None),
        Bar(f"CLIP, text to picture, 1 of {CHOICES}, in the first five", retrieval(pictures, truths), 90),
    ]


def accuracies(readings: Readings, truths: list[Truth]) -> tuple[dict[str, float], dict[str, float]]:
    """Percentage of right answers for each attribute: over all pictures; and half from those that have it, half from others."""
    plain, balanced = dict[str, float](), dict[str, float]()
    for name in ATTRIBUTES:
        asked = np.array([truth.get(name, False) for truth in truths])
        right = np.array([reading[name] > 0.5 for reading in readings]) == asked
        plain[name] = 100 * float(right.mean())
        balanced[name] = 50 * float(right[asked].mean() + right[~asked].mean())
    return plain, balanced


@torch.inference_mode()
def retrieval(pictures: list[Image.Image], truths: list[Truth]) -> float:
    """Percentage of captions whose picture is among CLIP's first five of `CHOICES` pictures with distinct captions."""
    folder, rng = BUILT_IN["terrarium"] / "clip", np.random.default_rng(0)
    clip, words = CLIPModel.from_pretrained(folder, torch_dtype=torch.float32), CLIPTokenizer.from_pretrained(folder)
    distinct: dict[str, Image.Image] = {}
    for picture, truth in zip(pictures, truths, strict=True):
        said = max((caption(truth, rng) for _ in range(4)), key=len)
        if len(distinct) < CHOICES and said not in distinct:
            distinct[said] = picture
    pixels = to_tensor(np.stack([np.asarray(picture) for picture in distinct.values()]))
    ids = words([*distinct], padding="max_length", return_tensors="pt").input_ids
    scores = clip(input_ids=ids, pixel_values=pixels).logits_per_text
    first = scores.topk(5, dim=1).indices
    return 100 * float(np.mean([i in row for i, row in enumerate(first.tolist())]))
