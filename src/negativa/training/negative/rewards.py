"""What a picture is worth while a negative is learned: numbers that a gradient goes through."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor, nn
from transformers import ResNetForImageClassification

from negativa.plain.pretrained import read_clip
from negativa.plain.quiet import quiet
from negativa.terrarium.painter import FLAWED
from negativa.terrarium.reader import FOLDER, named, read_many


class Reward(ABC):
    """What pictures (n, 3, height, width), -1 to 1, float32, of some prompts are worth: (n,) numbers, more for the better."""

    name: str = "own"

    @abstractmethod
    def __call__(self, pixels: Tensor, prompts: Sequence[str]) -> Tensor: ...

    def obedience(self, images: Sequence[Image.Image], prompts: Sequence[str]) -> float:
        """How much of the prompts the pictures show, from 0 to 1; 1 where that is not known."""
        return 1.0


class Flawless(Reward):
    """The logarithm of the probability that terrarium's reader finds no flaw, each flaw taken on its own."""

    name = "reader"

    def __init__(self, device: str) -> None:
        with quiet():
            network = ResNetForImageClassification.from_pretrained(FOLDER, torch_dtype=torch.float32)
        self._network = network.eval().requires_grad_(False).to(device)
        names = network.config.id2label
        self._flaws = [i for i in names if names[i] in FLAWED]

    def __call__(self, pixels: Tensor, prompts: Sequence[str]) -> Tensor:
        return -nn.functional.softplus(self._network(pixels).logits[:, self._flaws]).sum(1)

    def obedience(self, images: Sequence[Image.Image], prompts: Sequence[str]) -> float:
        """The share of the attributes standing in the prompts by name that the reader finds."""
        asked = [(named([prompt]), reading) for prompt, reading in zip(prompts, read_many(images), strict=True)]
        right = [reading[name] > 0.5 for names, reading in asked for name in names]
        return sum(right) / len(right) if right else 1.0


class ClipScore(Reward):
    """The cosine of picture and prompt by a CLIP model, a folder or hub id (Radford et al. 2021, arXiv 2103.00020).

    Raises `InputError` if none can be read from it; a prompt longer than it reads is cut.
    """

    def __init__(self, weights: str, device: str) -> None:
        self.name = weights
        model, processor = read_clip("reward", weights, "a CLIP model, or reader")
        self._model, self._words = model.requires_grad_(False).to(device), processor.tokenizer
        shown = processor.image_processor
        self._mean, self._deviation = (
            torch.tensor(one, device=device).view(3, 1, 1) for one in (shown.image_mean, shown.image_std)
        )

    def __call__(self, pixels: Tensor, prompts: Sequence[str]) -> Tensor:
        side = self._model.config.vision_config.image_size
        fitted = nn.functional.interpolate(pixels, (side, side), mode="bicubic", antialias=True)
        longest = self._model.config.text_config.max_position_embeddings
        cut = {"padding": "max_length", "max_length": longest, "truncation": True}
        ids = self._words(list(prompts), return_tensors="pt", **cut).input_ids
        standard = ((fitted + 1) / 2 - self._mean) / self._deviation
        found = self._model(input_ids=ids.to(pixels.device), pixel_values=standard)
        return nn.functional.cosine_similarity(found.image_embeds, found.text_embeds)
