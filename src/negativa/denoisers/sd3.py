"""Stable Diffusion 3 and 3.5: a transformer that predicts a flow, and three text encoders, of which T5 may be absent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import torch
from diffusers import AutoencoderKL, SD3Transformer2DModel
from torch import Tensor
from torch.nn.functional import pad
from transformers import CLIPTextModelWithProjection, CLIPTokenizer, T5EncoderModel, T5TokenizerFast

from negativa.denoisers.embeddings import Embedding
from negativa.denoisers.encoding import Encoding, Part, Unit
from negativa.denoisers.joint import PATCHED, JointDiffusion
from negativa.denoisers.patches import PATCHES
from negativa.denoisers.t5 import T5Texts
from negativa.denoisers.texts import ClipTexts
from negativa.errors import InputError
from negativa.plain.conditions import Emphasis

LENGTH: Final = 256  # tokens of T5 that it was trained with
SKIPPED: Final = (7, 8, 9)  # layers that skip layer guidance leaves out, as published with 3.5


@dataclass(frozen=True)
class TripleTexts:
    """Two CLIPs of one vocabulary side by side along the width, filled up with zeros, and after them the tokens of T5.

    `width` is that of T5's tokens; without `third` they are zeros. What both CLIPs pool is joined.
    """

    first: ClipTexts
    second: ClipTexts
    third: T5Texts | None
    width: int

    def chunks(self, stretches: Sequence[Sequence[Part]]) -> list[Unit]:
        return self.first.chunks(stretches)

    def encoding(self, stretches: Sequence[Sequence[Part]], emphasis: Emphasis, room: int) -> Encoding:
        chunks = self.chunks(stretches)
        read = [one.encoded(chunks, emphasis, room) for one in (self.first, self.second)]
        clips = torch.cat([one.states for one in read], -1)
        t5 = clips.new_zeros(LENGTH, self.width) if self.third is None else self.third.states(stretches, emphasis).to(clips)
        states = torch.cat([self._filled(clips), t5])
        pooled = torch.cat([one.pooled for one in read if one.pooled is not None])

        def words() -> Tensor:
            said = self._filled(torch.cat([one.words for one in read], -1))
            return said if self.third is None else torch.cat([said, self.third.words(stretches, emphasis).to(said)])

        return Encoding(states, pooled, words)

    def _filled(self, clips: Tensor) -> Tensor:
        return pad(clips, (0, self.width - clips.shape[-1]))

    def unread(self, stretches: Sequence[Sequence[Part]]) -> str:
        return self.first.unread(stretches) or (self.third.unread(stretches) if self.third else "")

    def learning(self, embedding: Embedding) -> TripleTexts:
        raise InputError(f"embeddings: {embedding.name!r} was given; allowed: none, Stable Diffusion 3 reads none here")


@dataclass(kw_only=True)
class StableDiffusion3(JointDiffusion):
    """Three texts are read as one, on end."""

    family = "Stable Diffusion 3"
    pipeline = "StableDiffusion3Pipeline"
    usual_scale = 7.0
    usual_nothing = "empty"
    networks: ClassVar = {
        "transformer": SD3Transformer2DModel,
        "vae": AutoencoderKL,
        "text_encoder": CLIPTextModelWithProjection,
        "text_encoder_2": CLIPTextModelWithProjection,
        "text_encoder_3": T5EncoderModel,
    }
    tokenizers: ClassVar = {"tokenizer": CLIPTokenizer, "tokenizer_2": CLIPTokenizer, "tokenizer_3": T5TokenizerFast}
    patched = (*PATCHED, "pag")
    optional = frozenset({"text_encoder_3", "tokenizer_3"})

    transformer: SD3Transformer2DModel
    text_encoder: CLIPTextModelWithProjection
    text_encoder_2: CLIPTextModelWithProjection
    text_encoder_3: T5EncoderModel | None = None
    tokenizer_2: CLIPTokenizer
    tokenizer_3: T5TokenizerFast | None = None

    @classmethod
    def fits(cls, parts: Mapping[str, Any]) -> bool:
        told, vae, t5 = parts["transformer"].config, parts["vae"].config, parts.get("text_encoder_3")
        clips = [parts[name].config for name in ("text_encoder", "text_encoder_2")]
        return (
            told.in_channels == vae.latent_channels
            and told.pooled_projection_dim == sum(one.projection_dim for one in clips)
            and told.joint_attention_dim >= sum(one.hidden_size for one in clips)
            and (t5 is None or told.joint_attention_dim == t5.config.d_model)
            and parts["tokenizer"].get_vocab() == parts["tokenizer_2"].get_vocab()
        )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.multiple = self.factor * self.transformer.config.patch_size
        self.largest = self.multiple * self.transformer.config.pos_embed_max_size
        if self.transformer.config.num_layers > max(SKIPPED):
            self.patches = {**self.patches, "slg": PATCHES["slg"]}

    def read_by(self) -> TripleTexts:
        first = ClipTexts(self.tokenizer, self.text_encoder, penultimate=True)
        second = ClipTexts(self.tokenizer_2, self.text_encoder_2, penultimate=True)
        third = T5Texts(self.tokenizer_3, self.text_encoder_3, LENGTH) if self.tokenizer_3 and self.text_encoder_3 else None
        return TripleTexts(first, second, third, self.transformer.config.joint_attention_dim)

    def _run(
        self, latents: Tensor, timesteps: Tensor, states: Tensor, pooled: Tensor, guidance: Tensor | None, skipped: bool
    ) -> Tensor:
        return self.transformer(
            hidden_states=latents,
            timestep=timesteps,
            encoder_hidden_states=states,
            pooled_projections=pooled,
            skip_layers=list(SKIPPED) if skipped else None,
            return_dict=False,
        )[0]
