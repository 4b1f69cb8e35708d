"""Image prompts, through diffusers' own pipeline, and how far generated pictures are from painted ones."""

from __future__ import annotations

import numpy as np
import torch
from common import FIRST_SEED, SCALE, STEPS, Bar, draw, read, seeded, subject
from diffusers import EulerAncestralDiscreteScheduler, StableDiffusionPipeline
from parts import held_out, through
from PIL import Image
from scipy.linalg import sqrtm
from transformers import CLIPImageProcessor

import negativa
from negativa import Recipe
from negativa.denoisers.checkpoints import BUILT_IN
from negativa.terrarium.painter import SCENES
from negativa.terrarium.reader import features

SHOWN = 60  # held-out paintings given as image prompts
WANTED = {"base": 75, "plus": 85}
FOLDER = BUILT_IN["terrarium"]


def bars(studio: negativa.Studio) -> tuple[list[Bar], dict[str, list[Image.Image]]]:
    """The bars, and pictures beside what was shown."""
    pictures, truths = held_out()
    pictures, truths = pictures[:SHOWN], truths[:SHOWN]
    found, contact = [], {"shown": pictures[:10]}
    for kind, wanted in WANTED.items():
        drawn = prompted(kind, pictures)
        contact[kind] = drawn[:10]
        through_it = [
            np.mean([reading[name] > 0.5 for name, there in truth.items() if there])
            for reading, truth in zip(read(drawn), truths, strict=True)
        ]
        found.append(
            Bar(f"image prompt, {kind}: what is in the picture comes through", 100 * float(np.mean(through_it)), wanted)
        )
    return found + distances(studio), contact


def prompted(kind: str, pictures: list[Image.Image]) -> list[Image.Image]:
    """One picture for each image prompt, without words."""
    pipeline = StableDiffusionPipeline.from_pretrained(FOLDER, torch_dtype=torch.float32)
    pipeline.scheduler = EulerAncestralDiscreteScheduler.from_config(pipeline.scheduler.config)
    pipeline.register_modules(feature_extractor=CLIPImageProcessor.from_pretrained(FOLDER / "clip"))
    pipeline.load_ip_adapter(
        str(FOLDER), subfolder="ip_adapter", weight_name=f"{kind}.safetensors", image_encoder_folder="./clip"
    )
    pipeline.set_progress_bar_config(disable=True)
    drawn: list[Image.Image] = []
    for i, picture in enumerate(pictures):
        generator = torch.Generator().manual_seed(FIRST_SEED + i)
        drawn += pipeline(
            "", ip_adapter_image=picture, num_inference_steps=STEPS, guidance_scale=SCALE, generator=generator
        ).images
    return drawn


def distances(studio: negativa.Studio) -> list[Bar]:
    """Fréchet distances of the reader's features to painted pictures: of generated ones, and of the paintings themselves
    after the autoencoder, which no model above it can beat.
    """
    pictures, _ = held_out()
    half = len(pictures) // 2
    restored = [through(studio, picture) for picture in pictures[half:]]
    shares = {name: round(scene.share * half) for name, scene in SCENES.items()}
    drawn = [image for name, count in shares.items() for image in draw(studio, seeded(Recipe(subject(SCENES[name])), count))]
    painted = features(pictures[:half])
    return [
        Bar(
            "Fréchet distance to paintings: other paintings after the autoencoder",
            frechet(painted, features(restored)),
            None,
            "",
        ),
        Bar("Fréchet distance to paintings: generated pictures", frechet(painted, features(drawn)), None, ""),
    ]


def frechet(first: np.ndarray, second: np.ndarray) -> float:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)) of two sets of features (Heusel et al. 2017, arXiv 1706.08500)."""
    c1, c2 = np.cov(first.T), np.cov(second.T)
    root = sqrtm(c1 @ c2).real
    return float(np.sum((first.mean(0) - second.mean(0)) ** 2) + np.trace(c1 + c2 - 2 * root))
