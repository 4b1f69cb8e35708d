"""Small pipelines of the true classes, saved as real folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

import negativa
from negativa.training.tokenizer import learn

LONG = ("test_wheel", "test_training", "test_readme", "test_cli", "test_study", "test_workers")
WORDS = ["portrait of a man with a mustache", "glasses, hat", "a house in the snow, lawn"] * 4


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take long go first: of two processes one would wait for the other at the end."""
    items.sort(key=lambda item: item.path.stem not in LONG)


def tiny_pipeline(prediction: str, channels: int = 4, words: Sequence[str] = WORDS) -> StableDiffusionPipeline:
    """An untrained Stable Diffusion of a few thousand weights, 32x32 pictures, latent factor 2."""
    torch.manual_seed(0)
    tokenizer: CLIPTokenizer = learn(words)
    text = tiny_clip(tokenizer, layers=2, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id)
    unet = UNet2DConditionModel(
        block_out_channels=(8, 16),
        layers_per_block=1,
        sample_size=16,
        in_channels=channels,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=32,
        attention_head_dim=2,
        norm_num_groups=4,
    )
    pipeline = StableDiffusionPipeline(
        tiny_vae(), CLIPTextModel(text), tokenizer, unet, schedule(prediction), None, None, requires_safety_checker=False
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def tiny_clip(tokenizer: CLIPTokenizer, width: int = 32, layers: int = 3, **settings: int) -> CLIPTextConfig:
    """The configuration of an untrained text encoder; its end token is 2, as published with newer models, if none is given."""
    return CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=37,
        num_hidden_layers=layers,
        num_attention_heads=4,
        bos_token_id=tokenizer.bos_token_id,
        **({"eos_token_id": 2} | settings),
    )


def tiny_vae(**settings: float) -> AutoencoderKL:
    """An untrained autoencoder of 32x32 pictures, latent factor 2."""
    return AutoencoderKL(
        block_out_channels=(8, 16),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        norm_num_groups=4,
        sample_size=32,
        **settings,
    )


def schedule(prediction: str = "epsilon") -> DDIMScheduler:
    """The noise schedule of Stable Diffusion."""
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type=prediction,
    )


@pytest.fixture(scope="session", params=["epsilon", "v_prediction"])
def pipeline(request: pytest.FixtureRequest) -> StableDiffusionPipeline:
    """Noise prediction as in Stable Diffusion 1, velocity as in 2."""
    return tiny_pipeline(request.param)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A diffusers folder on disk."""
    path = tmp_path_factory.mktemp("models") / "tiny"
    tiny_pipeline("epsilon").save_pretrained(path)
    return path


@pytest.fixture(scope="session")
def studio(folder: Path) -> negativa.Studio:
    """A studio on the small folder."""
    return negativa.load(str(folder))
