"""What the tests of measures look at: paintings whose truth is known, and a small CLIP."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageFilter
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor

from negativa import Recipe
from negativa.measures import Shot
from negativa.terrarium import paint
from negativa.terrarium.painter import CLEAN
from negativa.training.tokenizer import learn

MAN = Recipe("portrait of a man", "mustache")
ELSEWHERE = Recipe("a picture of a dog", "mustache", model="another")
Pictures = list[Image.Image]


def painted(chance: int, kind: str | None = None, **attributes: bool) -> Image.Image:
    """A painting without flaws; equal `chance` and other attributes: the same one but for these attributes."""
    return paint(np.random.default_rng([7, chance]), kind, **{"photo": True} | CLEAN | attributes)[0]


def men(count: int, mustache: bool, first: int = 0) -> Pictures:
    return [painted(i, man=True, mustache=mustache) for i in range(first, first + count)]


def shots(images: Sequence[Image.Image], recipe: Recipe = MAN, before: Sequence[Image.Image] | None = None) -> list[Shot]:
    beside = before or [None] * len(images)
    return [Shot(image, recipe.replace(seed=i), other) for i, (image, other) in enumerate(zip(images, beside, strict=True))]


def noise(chance: int, side: int = 64) -> Image.Image:
    return Image.fromarray(np.random.default_rng(chance).integers(0, 256, (side, side, 3), dtype=np.uint8))


def blurred(image: Image.Image) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(2))


def resaved(image: Image.Image) -> Image.Image:
    """The same picture as a JPEG."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=80)
    return Image.open(file).convert("RGB")


def save_clip(folder: Path) -> str:
    """An untrained CLIP in a folder: its numbers mean nothing, but they are CLIP's."""
    torch.manual_seed(0)
    tokenizer = learn(["portrait of a man with a mustache", "a picture of a dog", "good bad photo."] * 4)
    small = {"hidden_size": 32, "intermediate_size": 37, "num_hidden_layers": 2, "num_attention_heads": 4}
    special = {name: getattr(tokenizer, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    text = {**small, **special, "vocab_size": len(tokenizer), "max_position_embeddings": 77}
    vision = {**small, "image_size": 32, "patch_size": 8}
    model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=16))
    eyes = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    CLIPProcessor(eyes, tokenizer).save_pretrained(folder)
    model.save_pretrained(folder)
    return str(folder)
