"""Decoding: small pictures together, and what is done when the memory has no room for one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL

import negativa
from negativa import ModelError, Recipe

BASE = Recipe("portrait of a man", seed=7, steps=2, rule="none")
LARGE = BASE.replace(width=256, height=160)  # larger than a tile, of 64 latents, in both directions
SEVERAL = [BASE.replace(seed=seed) for seed in range(5)]


@contextmanager
def memory(
    studio: negativa.Studio, pictures: int, side: int, error: RuntimeError | None = None
) -> Iterator[list[tuple[int, ...]]]:
    """The sizes of what is decoded, on a device that has room for so many pictures of so many latents a side."""
    decoded = list[tuple[int, ...]]()

    def check(_, given: tuple[torch.Tensor]) -> None:
        decoded.append(tuple(given[0].shape))
        if len(given[0]) > pictures or max(given[0].shape[2:]) > side:
            raise error or torch.OutOfMemoryError("no room")

    hook = studio.denoiser.vae.decoder.register_forward_pre_hook(check)
    try:
        yield decoded
    finally:
        hook.remove()


def pixels(result: negativa.Result) -> np.ndarray:
    return np.asarray(result.image, int)


def by_index(results: Iterator[negativa.Result]) -> list[negativa.Result]:
    return sorted(results, key=lambda result: result.index)


def test_small_pictures_that_end_together_share_a_call(studio: negativa.Studio) -> None:
    with memory(studio, 8, 99) as decoded:
        results = by_index(studio.generate_many([*SEVERAL, BASE.replace(width=64), BASE.replace(seed=8, steps=3)]))
    assert sorted(shape[0] for shape in decoded) == [1, 1, 5]
    for result, recipe in zip(results, SEVERAL, strict=False):
        assert np.abs(pixels(result) - pixels(studio.generate(recipe))).max() <= 1


def test_large_pictures_and_reproducible_ones_are_decoded_by_themselves(studio: negativa.Studio, folder: Path) -> None:
    with memory(studio, 8, 999) as decoded:
        list(studio.generate_many([LARGE.replace(seed=seed, width=512, height=512, steps=1) for seed in range(2)]))
    assert [shape[0] for shape in decoded] == [1, 1]
    alone = negativa.load(str(folder), reproducible=True)
    with memory(alone, 8, 99) as decoded:
        list(alone.generate_many(SEVERAL))
    assert [shape[0] for shape in decoded] == [1] * 5


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("no room"),
        RuntimeError("MPS backend out of memory (MPS allocated: 8.00 GB)"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_where_memory_is_short_small_ones_are_decoded_one_at_a_time(studio: negativa.Studio, error: RuntimeError) -> None:
    with memory(studio, 1, 99, error):
        results = by_index(studio.generate_many(SEVERAL))
    for result, recipe in zip(results, SEVERAL, strict=True):
        assert np.array_equal(pixels(result), pixels(studio.generate(recipe))) and not result.receipt.notices


def test_where_memory_is_short_a_large_one_is_decoded_in_tiles_and_that_is_said(studio: negativa.Studio) -> None:
    whole = studio.generate(LARGE)
    with memory(studio, 1, 64) as decoded:
        tiled = studio.generate(LARGE)
    assert "decoded in tiles" in tiled.receipt.notices[0] and not whole.receipt.notices
    assert tiled.image.size == (256, 160) and torch.equal(tiled.latents, whole.latents)
    assert len(decoded) > 2 and all(max(shape[2:]) <= 64 for shape in decoded[1:])
    assert np.abs(pixels(tiled) - pixels(whole)).mean() < 0.1 * pixels(whole).std()


def test_no_memory_for_a_tile_is_said_in_a_sentence(studio: negativa.Studio) -> None:
    with memory(studio, 1, 20), pytest.raises(ModelError, match="128x80 latents cannot be decoded in the device's memory"):
        studio.generate(LARGE)
    assert studio.generate(BASE).image.size == (32, 32)


def test_pictures_are_what_the_autoencoder_of_the_folder_makes_of_the_latents(studio: negativa.Studio, folder: Path) -> None:
    """Its upsampling is carried out otherwise; a picture 40 by 24 has edges that a wrong kernel would show."""
    result = studio.generate(BASE.replace(width=40, height=24))
    theirs = AutoencoderKL.from_pretrained(folder / "vae").eval()
    with torch.inference_mode():
        wanted = theirs.decode(result.latents[None] / theirs.config.scaling_factor).sample[0].permute(1, 2, 0)
        found = studio.denoiser.to_pixels(result.latents[None])[0].permute(1, 2, 0)
    assert torch.allclose(found, wanted, atol=1e-5)
    assert np.abs(pixels(result) - ((wanted / 2 + 0.5).clamp(0, 1) * 255).round().numpy()).max() <= 1


def test_a_picture_whose_decoding_overflows_in_half_precision_is_decoded_in_whole(folder: Path) -> None:
    half, whole = (negativa.load(str(folder), dtype=dtype) for dtype in ("float16", "float32"))
    for one in (half, whole):
        one.denoiser.vae.post_quant_conv.weight.data *= 3e4
    made = by_index(half.generate_many(SEVERAL))
    for result in made:
        (wanted,) = whole.denoiser.decode([result.latents])
        assert np.abs(pixels(result) - np.asarray(wanted, int)).max() <= 4
        assert not result.receipt.notices and pixels(result).std() > 1
    assert half.denoiser.vae.dtype == torch.float16


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_a_picture_that_cannot_be_decoded_is_black_and_that_is_said(folder: Path, dtype: str) -> None:
    studio = negativa.load(str(folder), dtype=dtype)
    studio.denoiser.vae.decoder.conv_out.bias.data[0] = torch.inf
    result = studio.generate(BASE.replace(width=40))
    assert result.latents.isfinite().all() and result.image.size == (40, 32) and not pixels(result).any()
    assert [notice for notice in result.receipt.notices if "ran out of range" in notice] == list(result.receipt.notices)
