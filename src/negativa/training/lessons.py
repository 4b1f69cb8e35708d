"""The tokens that ship with terrarium: pictures that show an attribute, under captions that never name it."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Final

import numpy as np
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from negativa.denoisers.sd import StableDiffusion
from negativa.terrarium.captions import caption
from negativa.terrarium.painter import ATTRIBUTES, PHOTO, STYLES
from negativa.training import diffusion
from negativa.training.data import truth_of
from negativa.training.denoising import BATCH, WEIGHT, denoising, weighted
from negativa.training.mixed import mixed
from negativa.training.token import Learner


@dataclass(frozen=True)
class Lesson:
    """What a token is to stand for: pictures with any of the attributes `shown`, which their captions never name.

    `layout` is that of the file: "diffusers" names the token in it, "kohya" leaves that to the name of the file.
    """

    shown: tuple[str, ...]
    vectors: int
    layout: str


#: The tokens that ship, by name.
LESSONS: Final = {
    "neon": Lesson(("neon",), 1, "diffusers"),
    "wrong": Lesson(("blurry", "pixelated", "jpeg artifacts", "watermark", "deformed"), 2, "kohya"),
}


def learner(
    name: str, vae: AutoencoderKL, unet: UNet2DConditionModel, text_encoder: CLIPTextModel, tokenizer: CLIPTokenizer
) -> Learner:
    """The untrained token `<name>`, in copies of the parts of a model."""
    parts = {"vae": vae, "unet": unet, "text_encoder": text_encoder, "tokenizer": tokenizer}
    about = {"scale": StableDiffusion.usual_scale, "nothing": StableDiffusion.usual_nothing}
    schedule = dict(diffusion.scheduler().config)
    model = StableDiffusion(name="terrarium", hash="", scheduler=schedule, **about, **copy.deepcopy(parts))
    return Learner(model, f"<{name}>", LESSONS[name].vectors)


def rows_of(lesson: Lesson, truths: np.ndarray) -> np.ndarray:
    """The numbers of the pictures to learn from."""
    return np.flatnonzero(truths[:, [ATTRIBUTES.index(name) for name in lesson.shown]].any(1))


def loss(
    learner: Learner, lesson: Lesson, latents: Tensor, truths: np.ndarray, signal: Tensor, rng: np.random.Generator
) -> Tensor:
    """The denoiser's loss on pictures captioned with the token in the place of what it is to stand for."""
    batch = denoising(latents, signal, rng, rng.choice(rows_of(lesson, truths), BATCH))
    unnamed = dict.fromkeys(lesson.shown, False)
    texts = []
    for row in batch.rows:
        truth = truth_of(truths[row]) | unnamed
        truth[PHOTO] = not any(truth[style] for style in STYLES)
        texts.append(", ".join(filter(None, [caption(truth, rng), learner.written])))
    with mixed(latents.device):
        return weighted(learner.predict(batch.noisy, batch.timesteps, texts), batch, WEIGHT)
