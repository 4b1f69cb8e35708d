"""Learned tokens: textual inversion (Gal et al. 2022, arXiv 2208.01618), a few vectors in the place of a word."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer

from negativa.terrarium.captions import caption
from negativa.terrarium.painter import ATTRIBUTES, PHOTO, STYLES
from negativa.training.data import truth_of
from negativa.training.diffusion import denoising, weighted
from negativa.training.tokenizer import tokens


@dataclass(frozen=True)
class Lesson:
    """What a token is to stand for: pictures with any of the attributes `shown`, which their captions never name.

    `layout` is that of the file: "diffusers" names the token in it, "a1111" leaves that to the name of the file.
    """

    shown: tuple[str, ...]
    vectors: int
    layout: str


#: The tokens that ship, by name.
LESSONS: Final = {
    "neon": Lesson(("neon",), 1, "diffusers"),
    "wrong": Lesson(("blurry", "pixelated", "jpeg artifacts", "watermark", "deformed"), 2, "a1111"),
}


class Learner(nn.Module):
    """The vectors of a new token, inside a copy of a text encoder and tokenizer that know it as `<name>`."""

    def __init__(self, name: str, vectors: int, text_encoder: CLIPTextModel, tokenizer: CLIPTokenizer) -> None:
        super().__init__()
        known = text_encoder.get_input_embeddings().weight.detach()
        self.vectors = nn.Parameter(known.mean(0, keepdim=True).repeat(vectors, 1))
        names = [f"<{name}-{i}>" for i in range(vectors)]
        self.written, self._first = "".join(names), len(tokenizer)
        encoder, words = copy.deepcopy(text_encoder), copy.deepcopy(tokenizer)
        words.add_tokens(names)
        encoder.resize_token_embeddings(len(words), mean_resizing=False)
        encoder.requires_grad_(False).get_input_embeddings().register_forward_hook(self._put)
        self._reading = encoder, words  # in a tuple, where torch does not see what is not trained

    def _put(self, _: nn.Module, asked: tuple[Tensor], found: Tensor) -> Tensor:
        for i, vector in enumerate(self.vectors):
            found = torch.where((asked[0] == self._first + i)[..., None], vector, found)
        return found

    def forward(self, texts: list[str]) -> Tensor:
        """What the encoder makes of texts that hold the token, (n, 77, width)."""
        encoder, words = self._reading
        return encoder(tokens(words, texts).to(self.vectors.device)).last_hidden_state


def rows_of(lesson: Lesson, truths: np.ndarray) -> np.ndarray:
    """The numbers of the pictures to learn from."""
    return np.flatnonzero(truths[:, [ATTRIBUTES.index(name) for name in lesson.shown]].any(1))


def loss(
    learner: Learner,
    lesson: Lesson,
    unet: UNet2DConditionModel,
    latents: Tensor,
    truths: np.ndarray,
    signal: Tensor,
    rng: np.random.Generator,
) -> Tensor:
    """The denoiser's loss on pictures captioned with the token in the place of what it is to stand for."""
    batch = denoising(latents, signal, rng, rows_of(lesson, truths))
    unnamed = dict.fromkeys(lesson.shown, False)
    texts = []
    for row in batch.rows:
        truth = truth_of(truths[row]) | unnamed
        truth[PHOTO] = not any(truth[style] for style in STYLES)
        texts.append(", ".join(filter(None, [caption(truth, rng), learner.written])))
    with torch.autocast(latents.device.type, torch.bfloat16):
        predicted = unet(batch.noisy, batch.timesteps, learner(texts), return_dict=False)[0]
    return weighted(predicted, batch)


def save(vectors: Tensor, name: str, layout: str, file: Path) -> None:
    """Write a token as the safetensors file that other tools read."""
    rows = vectors.detach().half().cpu().contiguous()
    key = f"<{name}>" if layout == "diffusers" else "emb_params"
    save_file({key: rows[0] if layout == "diffusers" and len(rows) == 1 else rows}, file, {"format": "pt"})
