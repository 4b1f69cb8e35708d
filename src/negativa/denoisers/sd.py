"""Stable Diffusion 1.x and 2.x, noise and velocity prediction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

from negativa.denoisers.texts import ClipTexts
from negativa.denoisers.unet import UNetDiffusion


@dataclass(kw_only=True)
class StableDiffusion(UNetDiffusion):
    """One text encoder, whose last state is read."""

    family = "Stable Diffusion 1.x or 2.x"
    pipeline = "StableDiffusionPipeline"
    usual_scale = 7.5
    usual_nothing = "empty"
    networks: ClassVar = {"unet": UNet2DConditionModel, "vae": AutoencoderKL, "text_encoder": CLIPTextModel}
    tokenizers: ClassVar = {"tokenizer": CLIPTokenizer}

    text_encoder: CLIPTextModel

    def read_by(self) -> ClipTexts:
        return ClipTexts(self.tokenizer, self.text_encoder)
