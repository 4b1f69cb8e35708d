"""Terrarium's CLIP: a text and a vision tower, trained to agree on which caption belongs to which picture.

The text tower learns first, from what the painter knows of each picture, which takes a fraction of the time that pictures
take; the vision tower then learns to agree with it (Zhai et al. 2022, arXiv 2111.07991, with the roles exchanged).
"""

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
from negativa.terrarium.painter import ATTRIBUTES
from negativa.terrarium.reader import to_tensor
from negativa.training.data import truth_of
from negativa.training.mixed import mixed
from negativa.training.tokenizer import LENGTH

WORDS_BATCH, BATCH = 256, 128
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


def knowing() -> nn.Module:
    """An untrained tower that reads the painter's truth, (n, attributes); it is needed for the training only."""
    return nn.Sequential(nn.Linear(len(ATTRIBUTES), 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))


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


def words_loss(both: nn.ModuleDict, truths: np.ndarray, tokenizer: CLIPTokenizer, rng: np.random.Generator) -> Tensor:
    """How badly the text tower of `both["clip"]` and `both["truth"]` agree on which caption belongs to which picture."""
    clip, rows = both["clip"], rng.integers(len(truths), size=WORDS_BATCH)
    texts = _captions(truths[rows], rng)
    known = torch.from_numpy(truths[rows].astype(np.float32)).to(clip.device)
    with mixed(clip.device):
        return _disagreement(_read(clip, tokenizer, texts), both["truth"](known), clip.logit_scale, texts)


def loss(
    clip: CLIPModel,
    truth_tower: nn.Module,
    pictures: np.ndarray,
    truths: np.ndarray,
    tokenizer: CLIPTokenizer,
    rng: np.random.Generator,
) -> Tensor:
    """How badly the vision tower agrees with captions, and with the tower that knows the whole truth."""
    device, rows = clip.device, rng.integers(len(pictures), size=BATCH)
    texts = _captions(truths[rows], rng)
    known = torch.from_numpy(truths[rows].astype(np.float32)).to(device)
    with mixed(device):
        with torch.no_grad():
            said, true = _read(clip, tokenizer, texts), truth_tower(known)
        seen = clip.visual_projection(clip.vision_model(to_tensor(pictures[rows]).to(device)).pooler_output)
    facts = ["".join(map(str, row)) for row in truths[rows].astype(int)]
    return (_disagreement(said, seen, clip.logit_scale, texts) + _disagreement(true, seen, clip.logit_scale, facts)) / 2


def _captions(truths: np.ndarray, rng: np.random.Generator) -> list[str]:
    return [caption(truth_of(row), rng) or "a picture" for row in truths]


def _read(clip: CLIPModel, tokenizer: CLIPTokenizer, texts: list[str]) -> Tensor:
    """Projected embeddings of captions, padded to the longest only: later positions never tell earlier ones anything."""
    ids = tokenizer(texts, padding=True, max_length=LENGTH, truncation=True, return_tensors="pt").input_ids
    return clip.text_projection(clip.text_model(ids.to(clip.device)).pooler_output)


def _disagreement(first: Tensor, second: Tensor, scale: Tensor, names: list[str]) -> Tensor:
    """Cross-entropy of finding each row's partner on the other side (Radford et al. 2021, arXiv 2103.00020, figure 3).

    Rows of one name are all right answers to it.
    """
    first, second = (nn.functional.normalize(side.float(), dim=-1) for side in (first, second))
    logits = scale.exp().clamp(max=100) * first @ second.T
    same = torch.tensor([[a == b for b in names] for a in names], device=logits.device).float()
    target = same / same.sum(1, keepdim=True)
    return (nn.functional.cross_entropy(logits, target) + nn.functional.cross_entropy(logits.T, target)) / 2
