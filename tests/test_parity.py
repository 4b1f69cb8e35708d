"""`cfg` equals diffusers' own pipeline: same seed, prompt, negative, steps, scheduler."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline

import negativa
from negativa.plain.samplers import SAMPLERS
from negativa.sampling import noise
from negativa.sampling.steps import levels, scheduler_class
from tests.conftest import schedule

TOLERANCE = 2e-5  # of the latents' deviation, which is about 1 in a trained model; an untrained one's may be 18


def same(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    torch.testing.assert_close(ours, theirs, rtol=0, atol=TOLERANCE * float(theirs.std()))


@pytest.fixture(scope="module")
def pair(
    pipeline: StableDiffusionPipeline, tmp_path_factory: pytest.TempPathFactory
) -> tuple[negativa.Studio, StableDiffusionPipeline]:
    """Our studio and diffusers' pipeline on the same files."""
    path: Path = tmp_path_factory.mktemp("parity") / "model"
    pipeline.save_pretrained(path)
    theirs = StableDiffusionPipeline.from_pretrained(path)  # a schedule's defaults are settled by saving it: pitfall 1
    theirs.set_progress_bar_config(disable=True)
    return negativa.load(str(path)), theirs


def expected(pipeline: StableDiffusionPipeline, recipe: negativa.Recipe) -> torch.Tensor:
    """The latents that diffusers makes of a recipe with one negative at most."""
    sampler = SAMPLERS[recipe.sampler]
    settings = dict(sampler.settings)
    generator = torch.Generator().manual_seed(recipe.seed)
    if sampler.scheduler == "DPMSolverSDEScheduler":  # brings its own noise: give it the seed that our walk draws
        probe = noise.stream(recipe.seed)
        noise.start(probe, (4, 16, 16))
        settings["noise_sampler_seed"] = noise.brownian_seed(probe)
    original = pipeline.scheduler
    pipeline.scheduler = scheduler_class(sampler.scheduler).from_config(original.config, **settings)
    try:
        return pipeline(
            recipe.prompt,
            negative_prompt=recipe.negative[0].condition if recipe.negative else None,
            num_inference_steps=recipe.steps,
            guidance_scale=recipe.scale,
            generator=generator,
            output_type="latent",
        ).images[0]
    finally:
        pipeline.scheduler = original


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("negative", ["", "mustache, glasses"])
def test_latents_equal_the_pipelines(pair, sampler: str, negative: str) -> None:
    studio, pipeline = pair
    recipe = negativa.Recipe("portrait of a man", negative, seed=7, steps=6, scale=5, sampler=sampler)
    ours = studio.generate(recipe).latents
    same(ours, expected(pipeline, recipe))


def test_pictures_equal_the_pipelines(pair) -> None:
    studio, pipeline = pair
    recipe = negativa.Recipe("portrait of a man", "hat", seed=3, steps=4)
    ours = studio.generate(recipe)
    theirs = pipeline(
        "portrait of a man", negative_prompt="hat", num_inference_steps=4, generator=torch.Generator().manual_seed(3)
    ).images[0]
    recipe_ddim = recipe.replace(sampler="ddim")
    pixels = torch.tensor(list(studio.generate(recipe_ddim).image.tobytes()), dtype=torch.int16)
    assert (pixels - torch.tensor(list(theirs.tobytes()), dtype=torch.int16)).abs().max() <= 1
    assert ours.image.size == theirs.size


@pytest.mark.parametrize("scale", [1.0, 1.5, 20.0])
def test_other_scales_equal_the_pipelines(pair, scale: float) -> None:
    studio, pipeline = pair
    recipe = negativa.Recipe("a house in the snow", "lawn", seed=1, steps=5, scale=scale, sampler="ddim")
    same(studio.generate(recipe).latents, expected(pipeline, recipe))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_begins_without_signal_where_the_schedule_does(sampler: str) -> None:
    given = {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing", "_use_default_values": []}
    config = {**schedule("v_prediction").config, **given}
    found = levels(sampler, config, 10)
    assert found[0].alpha <= 2**-12 + 1e-6  # the least that diffusers leaves where none at all would be infinite noise
    if sampler == "heun":  # Lin et al. 2024, algorithm 1, written out
        root = np.cumprod(1 - np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2) ** 0.5
        root = (root - root[-1]) * root[0] / (root[0] - root[-1])
        assert [one.alpha for one in found[::2]][1:] == pytest.approx(
            root[[899, 799, 699, 599, 499, 399, 299, 199, 99]], rel=1e-3
        )
