"""What a finished training is written as: an ordinary Stable Diffusion folder, and what belongs to terrarium beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import CLIPModel, CLIPTokenizer

from negativa.denoisers.embeddings import Embedding
from negativa.denoisers.embeddings import write as write_embedding
from negativa.language.files import output_folder
from negativa.training import clip, diffusion, lessons


def write(
    folder: Path,
    autoencoder: AutoencoderKL,
    unet: UNet2DConditionModel,
    towers: CLIPModel,
    words: CLIPTokenizer,
    judge: nn.Module,
    adapters: Mapping[str, Mapping[str, Tensor]],
    tokens: Mapping[str, Embedding],
) -> None:
    """Write the parts as a Stable Diffusion folder of fp16 safetensors; reader, CLIP, adapters and tokens beside them.

    It takes the place of an earlier one when it is whole. Raises `OutputError` if it cannot be written.
    """
    pipeline = StableDiffusionPipeline(
        vae=autoencoder,
        text_encoder=towers.text_model,
        tokenizer=words,
        unet=unet,
        scheduler=diffusion.scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    with output_folder("folder", folder) as part:
        try:
            pipeline.to(torch.float16).save_pretrained(part)
            words.backend_tokenizer.model.save(str(part / "tokenizer"))  # vocab.json and merges.txt, for older readers
            judge.half().save_pretrained(part / "reader")
            towers.half().save_pretrained(part / "clip")
            words.save_pretrained(part / "clip")
            clip.processor().save_pretrained(part / "clip")
            (part / "ip_adapter").mkdir()
            for kind, state in adapters.items():
                halves = {name: value.half().cpu().contiguous() for name, value in state.items()}
                save_file(halves, part / "ip_adapter" / f"{kind}.safetensors", {"format": "pt"})
            (part / "tokens").mkdir()
            for name, learned in tokens.items():
                file = part / "tokens" / f"{name}.safetensors"
                write_embedding(learned, file, lessons.LESSONS[name].layout)
        except SafetensorError as error:  # on a full disk
            raise OSError(error) from error
