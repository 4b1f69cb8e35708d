"""Terrarium's CLIP: a text and a vision tower, trained to agree on which caption belongs to which picture."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from transformers import (
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    CLIPTextConfig,
    CLIPTokenizer,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
)

from negativa.terrarium.canvas import SIZE
from negativa.terrarium.captions import caption
from negativa.training.data import truth_of
from negativa.training.tokenizer import LENGTH, tokens
from negativa.training.vae import to_tensor

BATCH = 256
WIDTH = 192  # of every embedding


def build(tokenizer: CLIPTokenizer) -> CLIPModel:
    """The untrained towers; pictures are seen whole, in patches of 16x16."""
    ends = {
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    size = {"hidden_size": WIDTH, "intermediate_size": 4 * WIDTH, "projection_dim": WIDTH, "num_attention_heads": 3}
    text = CLIPTextConfig(vocab_size=len(tokenizer), num_hidden_layers=4, max_position_embeddings=LENGTH, **size, **ends)
    vision = CLIPVisionConfig(image_size=SIZE, patch_size=16, num_hidden_layers=5, **size)
    config = CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=WIDTH)
    return CLIPModel._from_config(config, attn_implementation="eager")  # see the attention of the U-Net


def processor() -> CLIPImageProcessor:
    """Pictures as the vision tower wants them: 128x128, -1 to 1; zero is a middle gray."""
    square = {"height": SIZE, "width": SIZE}
    return CLIPImageProcessor(
        size={"shortest_edge": SIZE}, crop_size=square, image_mean=[0.5, 0.5, 0.5], image_std=[0.5, 0.5, 0.5]
    )


def vision(clip: CLIPModel) -> CLIPVisionModelWithProjection:
    """The vision tower alone, sharing its weights."""
    alone = CLIPVisionModelWithProjection(clip.config.vision_config)
    alone.vision_model, alone.visual_projection = clip.vision_model, clip.visual_projection
    return alone.eval()


def loss(
    clip: CLIPModel, pictures: np.ndarray, truths: np.ndarray, tokenizer: CLIPTokenizer, rng: np.random.Generator
) -> Tensor:
    """Cross-entropy of finding the caption for a picture and the picture for a caption (Radford et al. 2021, figure 3).

    Pictures that happen to share a caption are all right answers to it.
    """
    device = clip.device
    rows = rng.integers(len(pictures), size=BATCH)
    texts = [caption(truth_of(truths[row]), rng) or "a picture" for row in rows]
    pixels = to_tensor(pictures[rows]).to(device)
    with torch.autocast(device.type, torch.bfloat16):
        seen = clip(input_ids=tokens(tokenizer, texts).to(device), pixel_values=pixels)
    same = torch.tensor([[a == b for b in texts] for a in texts], device=device).float()
    target = same / same.sum(1, keepdim=True)
    by_text = seen.logits_per_text.float()
    return (nn.functional.cross_entropy(by_text, target) + nn.functional.cross_entropy(by_text.T, target)) / 2
