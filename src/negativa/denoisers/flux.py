"""Flux.1: a transformer that predicts a flow of latents in patches; T5 reads the text, CLIP what it is about as a whole."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import torch
from diffusers import AutoencoderKL, FluxTransformer2DModel
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer, T5EncoderModel, T5TokenizerFast

from negativa.denoisers.embeddings import Embedding
from negativa.denoisers.encoding import Encoding, Part, Unit
from negativa.denoisers.joint import JointDiffusion
from negativa.denoisers.t5 import T5Texts
from negativa.denoisers.texts import ClipTexts
from negativa.errors import InputError
from negativa.plain.conditions import Emphasis
from negativa.plain.samplers import EVENLY

LENGTH: Final = 512  # tokens of T5
PATCH: Final = 2  # latents of a patch, each way
GUIDANCE: Final = 3.5  # what a model that was distilled from guidance is told of it, as in its authors' examples
#: The shift of a schedule, as a power of e, grows with the patches of a picture, between these.
SHIFTS: Final = {"base_image_seq_len": 256, "max_image_seq_len": 4096, "base_shift": 0.5, "max_shift": 1.15}


@dataclass(frozen=True)
class FluxTexts:
    """What `t5` says, token by token; what `clip` pools of the first chunk, without weights."""

    clip: ClipTexts
    t5: T5Texts

    def chunks(self, stretches: Sequence[Sequence[Part]]) -> list[Unit]:
        return self.clip.chunks(stretches)[:1]

    def encoding(self, stretches: Sequence[Sequence[Part]], emphasis: Emphasis, room: int) -> Encoding:
        (chunk,) = self.chunks(stretches)
        (said,) = self.clip.said([[token for token, _ in chunk]])
        return Encoding(self.t5.states(stretches, emphasis), said.pooled, lambda: self.t5.words(stretches, emphasis))

    def unread(self, stretches: Sequence[Sequence[Part]]) -> str:
        return self.t5.unread(stretches)

    def learning(self, embedding: Embedding) -> FluxTexts:
        raise InputError(f"embeddings: {embedding.name!r} was given; allowed: none, Flux reads none here")


@dataclass(kw_only=True)
class Flux(JointDiffusion):
    """`scale` is true guidance, away from nothing or the negatives, with a second pass; a distilled model needs none."""

    family = "Flux.1"
    pipeline = "FluxPipeline"
    usual_scale = 1.0
    usual_nothing = "empty"
    networks: ClassVar = {
        "transformer": FluxTransformer2DModel,
        "vae": AutoencoderKL,
        "text_encoder": CLIPTextModel,
        "text_encoder_2": T5EncoderModel,
    }
    tokenizers: ClassVar = {"tokenizer": CLIPTokenizer, "tokenizer_2": T5TokenizerFast}

    transformer: FluxTransformer2DModel
    text_encoder: CLIPTextModel
    text_encoder_2: T5EncoderModel
    tokenizer_2: T5TokenizerFast

    @classmethod
    def fits(cls, parts: Mapping[str, Any]) -> bool:
        told, vae = parts["transformer"].config, parts["vae"].config
        return (
            told.in_channels == PATCH**2 * vae.latent_channels
            and told.out_channels in (None, told.in_channels)
            and told.pooled_projection_dim == parts["text_encoder"].config.hidden_size
            and told.joint_attention_dim == parts["text_encoder_2"].config.d_model
        )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.multiple = self.factor * PATCH
        self.distilled_scale = GUIDANCE if self.transformer.config.guidance_embeds else None

    def read_by(self) -> FluxTexts:
        return FluxTexts(ClipTexts(self.tokenizer, self.text_encoder), T5Texts(self.tokenizer_2, self.text_encoder_2, LENGTH))

    def schedule(self, width: int, height: int) -> Mapping[str, Any]:
        found = {**self.scheduler, EVENLY: True}
        if found.pop("use_dynamic_shifting", False):
            least, most, low, high = (found.get(name, usual) for name, usual in SHIFTS.items())
            patches = width * height / self.multiple**2
            found["shift"] = math.exp(low + (high - low) * (patches - least) / (most - least))
        return found

    def _run(
        self, latents: Tensor, timesteps: Tensor, states: Tensor, pooled: Tensor, guidance: Tensor | None, skipped: bool
    ) -> Tensor:
        height, width = (side // PATCH for side in latents.shape[2:])
        rows = latents.unflatten(-1, (width, PATCH)).unflatten(-3, (height, PATCH))  # n c h p w p
        predicted = self.transformer(
            hidden_states=rows.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2),
            timestep=timesteps / 1000,
            guidance=guidance,
            pooled_projections=pooled,
            encoder_hidden_states=states,
            txt_ids=states.new_zeros(states.shape[1], 3),
            img_ids=torch.cartesian_prod(torch.arange(1), torch.arange(height), torch.arange(width)).to(latents),
            return_dict=False,
        )[0]
        patches = predicted.unflatten(1, (height, width)).unflatten(-1, (-1, PATCH, PATCH)).permute(0, 3, 1, 4, 2, 5)
        return patches.flatten(4).flatten(2, 3)
