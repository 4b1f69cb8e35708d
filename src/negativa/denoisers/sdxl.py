"""Stable Diffusion XL's base model, which reads texts twice, and is told the size of its picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from negativa.denoisers.embeddings import Embedding, merge_pair
from negativa.denoisers.encoding import Encoding, Part, Unit
from negativa.denoisers.texts import ClipTexts
from negativa.denoisers.unet import UNetDiffusion
from negativa.plain.conditions import Emphasis


@dataclass(frozen=True)
class PairedTexts:
    """Two encoders of one vocabulary, side by side: their states are joined along the width, `second` says what is pooled."""

    first: ClipTexts
    second: ClipTexts

    def chunks(self, stretches: Sequence[Sequence[Part]]) -> list[Unit]:
        return self.first.chunks(stretches)

    def encoding(self, stretches: Sequence[Sequence[Part]], emphasis: Emphasis, room: int) -> Encoding:
        chunks = self.chunks(stretches)
        ours, theirs = (one.encoded(chunks, emphasis, room) for one in (self.first, self.second))
        states, words = torch.cat([ours.states, theirs.states], -1), lambda: torch.cat([ours.words, theirs.words], -1)
        return replace(theirs, states=states, of_words=words)

    def unread(self, stretches: Sequence[Sequence[Part]]) -> str:
        return self.first.unread(stretches)

    def learning(self, embedding: Embedding) -> PairedTexts:
        readers = (self.first, self.second)
        merge_pair([one.tokenizer for one in readers], [one.encoder for one in readers], embedding)
        return PairedTexts(replace(self.first), replace(self.second))


@dataclass(kw_only=True)
class StableDiffusionXL(UNetDiffusion):
    """Two text encoders, whose states before the last are read; the second's answer to the first chunk is pooled."""

    family = "Stable Diffusion XL"
    pipeline = "StableDiffusionXLPipeline"
    usual_scale = 5.0
    usual_nothing = "zeros"
    networks: ClassVar = {
        "unet": UNet2DConditionModel,
        "vae": AutoencoderKL,
        "text_encoder": CLIPTextModel,
        "text_encoder_2": CLIPTextModelWithProjection,
    }
    tokenizers: ClassVar = {"tokenizer": CLIPTokenizer, "tokenizer_2": CLIPTokenizer}

    text_encoder: CLIPTextModel
    text_encoder_2: CLIPTextModelWithProjection
    tokenizer_2: CLIPTokenizer

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.vae.dtype == torch.float16 and self.vae.config.force_upcast:
            self.vae.float()  # whose numbers run out of float16's range
        # Published files say that the end token is 2: transformers then takes the largest token for it, a learned one if any.
        self.text_encoder_2.text_model.eos_token_id = self.tokenizer_2.eos_token_id

    @classmethod
    def fits(cls, parts: Mapping[str, Any]) -> bool:
        unet, pooled = parts["unet"].config, parts["text_encoder_2"].config.projection_dim
        return (
            super().fits(parts)
            and unet.addition_embed_type == "text_time"
            and unet.projection_class_embeddings_input_dim == 6 * unet.addition_time_embed_dim + pooled
            and parts["tokenizer"].get_vocab() == parts["tokenizer_2"].get_vocab()
        )

    def read_by(self) -> PairedTexts:
        return PairedTexts(
            ClipTexts(self.tokenizer, self.text_encoder, penultimate=True),
            ClipTexts(self.tokenizer_2, self.text_encoder_2, penultimate=True),
        )

    def beside(self, read: Sequence[Encoding], size: tuple[int, int]) -> dict[str, Tensor]:
        """What is pooled, (rows, width), and six numbers (rows, 6): the picture's size, where it was cut, its size again."""
        height, width = (side * self.factor for side in size)
        numbers = torch.tensor([height, width, 0, 0, height, width], device=self.device)
        return {
            "text_embeds": torch.stack([one.pooled for one in read if one.pooled is not None]),
            "time_ids": numbers.expand(len(read), -1),
        }
