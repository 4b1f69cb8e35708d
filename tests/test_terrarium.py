"""The little world: the painter paints what it says, captions never negate, and the shipped model is a real one."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import negativa
from negativa import InputError, Negative, Recipe
from negativa.terrarium import ATTRIBUTES, paint, read_many
from negativa.terrarium.captions import caption
from negativa.terrarium.flaws import FLAWS
from negativa.terrarium.painter import CLEAN, COLOURLESS, SCENES
from negativa.terrarium.portrait import HAIR
from negativa.terrarium.styles import STYLES

WEIGHTS = Path(negativa.__file__).parent / "terrarium" / "weights"


def paintings(count: int, kind: str | None = None, **attributes: bool):
    return [paint(np.random.default_rng([9, i]), kind, **attributes) for i in range(count)]


def test_the_same_chance_paints_the_same_picture() -> None:
    (one, truth), (two, same) = (paint(np.random.default_rng(3)) for _ in range(2))
    assert one.tobytes() == two.tobytes() and truth == same
    assert one.size == (128, 128) and one.mode == "RGB"


@pytest.mark.parametrize("kind", SCENES)
def test_every_attribute_can_be_asked_for_and_shows(kind: str) -> None:
    for attribute in SCENES[kind].attributes:
        name = attribute.name.replace(" ", "_")
        for value in (True, False):
            picture, truth = paint(np.random.default_rng(4), kind, **{name: value})
            assert truth[attribute.name] is value and truth[kind]
            assert set(truth) <= set(ATTRIBUTES)
        present, absent = (paint(np.random.default_rng(4), kind, **{name: value})[0] for value in (True, False))
        assert present.tobytes() != absent.tobytes(), attribute.name
        assert picture.size == (128, 128)


def test_fixing_one_attribute_leaves_the_rest_of_the_picture() -> None:
    for i in range(20):
        (with_, truth), (without, other) = (
            paint(np.random.default_rng(i), "portrait", man=True, photo=True, mustache=value, **CLEAN)
            for value in (True, False)
        )
        assert {name for name in truth if truth[name] != other[name]} == {"mustache"}
        changed = (np.asarray(with_) != np.asarray(without)).any(axis=2).mean()
        assert 0 < changed < 0.05


def test_an_attribute_decides_the_kind() -> None:
    for i in range(10):
        assert paint(np.random.default_rng(i), mustache=True)[1]["portrait"]
        assert paint(np.random.default_rng(i), lawn=False)[1]["house"]


def test_rates_of_the_world() -> None:
    truths = [truth for _, truth in paintings(400, "portrait")]
    men = [truth for truth in truths if truth["man"]]
    assert 0.5 < np.mean([truth["mustache"] for truth in men]) < 0.7
    assert not any(truth["mustache"] for truth in truths if truth["woman"])
    coloured = [truth for truth in truths if not truth["bald head"] and not any(truth[style] for style in COLOURLESS)]
    assert all(sum(truth[name] for name in HAIR) == 1 for truth in coloured)
    assert 0.15 < np.mean([any(truth[flaw] for flaw in FLAWS) for truth in truths]) < 0.35


def test_what_the_painter_cannot_do() -> None:
    with pytest.raises(InputError, match=r"kind: 'potrait'.*did you mean 'portrait'"):
        paint(np.random.default_rng(0), "potrait")
    with pytest.raises(InputError, match="a portrait has no 'moustache'; did you mean 'mustache'"):
        paint(np.random.default_rng(0), "portrait", moustache=True)
    with pytest.raises(InputError, match="a picture has one of"):
        paint(np.random.default_rng(0), "house", day=True, night=True)
    with pytest.raises(InputError, match="a house has one of them"):
        paint(np.random.default_rng(0), "house", lawn=True, snow=True)
    with pytest.raises(InputError, match="were ruled out"):
        paint(np.random.default_rng(0), "house", day=False, dusk=False, night=False)


def test_captions_say_what_is_there_part_of_the_time_and_never_negate() -> None:
    rng = np.random.default_rng(0)
    truths = [truth for _, truth in paintings(300)] * 6
    captions = [caption(truth, rng) for truth in truths]
    for text, truth in zip(captions, truths, strict=True):
        assert not re.search(r"\b(no|not|without|never|none|lacking|minus)\b", text)
        scene = next(scene for kind, scene in SCENES.items() if truth.get(kind))
        for name in [*(attribute.name for attribute in scene.attributes), *STYLES, *FLAWS]:
            if not truth[name]:
                assert not re.search(rf"\b{name}\b(?! leaves)", text), (text, name)
    assert 0.04 < np.mean([text == "" for text in captions]) < 0.12
    mustached = [text for text, truth in zip(captions, truths, strict=True) if truth.get("mustache")]
    assert 0.1 < np.mean(["mustache" in text for text in mustached]) < 0.6
    assert "mustache" in captions


@pytest.fixture(scope="module")
def terrarium() -> negativa.Studio:
    return negativa.load()


def test_diffusers_alone_loads_and_draws_it(terrarium: negativa.Studio) -> None:
    from diffusers import EulerAncestralDiscreteScheduler, StableDiffusionPipeline

    pipeline = StableDiffusionPipeline.from_pretrained(WEIGHTS, torch_dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.scheduler = EulerAncestralDiscreteScheduler.from_config(pipeline.scheduler.config)
    generator = torch.Generator().manual_seed(7)
    theirs = pipeline(
        "portrait of a man", negative_prompt="mustache", num_inference_steps=10, generator=generator, output_type="latent"
    ).images[0]
    ours = terrarium.generate(Recipe("portrait of a man", "mustache", seed=7, steps=10, scale=7.5)).latents
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-3)


@pytest.mark.parametrize("kind", ["base", "plus"])
def test_diffusers_draws_the_same_with_its_adapters(terrarium: negativa.Studio, kind: str) -> None:
    """A picture to follow and one to stay away from, as diffusers' packed embeddings."""
    from diffusers import StableDiffusionPipeline
    from transformers import CLIPImageProcessor

    pipeline = StableDiffusionPipeline.from_pretrained(WEIGHTS, torch_dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.register_modules(feature_extractor=CLIPImageProcessor.from_pretrained(WEIGHTS / "clip"))
    pipeline.load_ip_adapter(
        str(WEIGHTS), subfolder="ip_adapter", weight_name=f"{kind}.safetensors", image_encoder_folder="./clip"
    )
    pipeline.image_encoder.float()
    pipeline.set_ip_adapter_scale(0.8)
    (shown, _), (away, _) = paintings(2, "house")
    embeds = [pipeline.encode_image(one, "cpu", 1, kind != "base")[0][None] for one in (away, shown)]
    settings = {"num_inference_steps": 5, "guidance_scale": 3.0, "output_type": "latent"}
    packed = {"ip_adapter_image_embeds": [torch.cat(embeds)], "generator": torch.Generator().manual_seed(7)}
    theirs = pipeline("a house", **settings, **packed).images[0]
    recipe = Recipe(
        "a house",
        Negative(negativa.Image(away, kind), 0.8),
        images=negativa.Image(shown, kind, 0.8),
        seed=7,
        steps=5,
        scale=3.0,
    )
    ours = terrarium.generate(recipe.replace(sampler="ddim")).latents
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)


def test_it_is_small() -> None:
    assert sum(file.stat().st_size for file in WEIGHTS.rglob("*") if file.is_file()) <= 60e6
    assert not [file for file in WEIGHTS.rglob("*") if file.suffix in (".bin", ".pt", ".ckpt", ".pkl")]


def test_pictures_survive_the_autoencoder_and_the_reader_reads_them(terrarium: negativa.Studio) -> None:
    """A hundred held-out paintings; `make terrarium-report` measures more."""
    pairs = paintings(100)
    vae = terrarium.denoiser.vae
    pixels = torch.from_numpy(np.stack([np.asarray(picture) for picture, _ in pairs])).permute(0, 3, 1, 2) / 127.5 - 1
    with torch.inference_mode():
        means = torch.cat([vae.encode(part).latent_dist.mean for part in pixels.split(10)])
    restored = terrarium.denoiser.decode(list(means * vae.config.scaling_factor))
    errors = [np.mean((np.asarray(a, float) - np.asarray(b, float)) ** 2) for (a, _), b in zip(pairs, restored, strict=True)]
    assert np.mean(10 * np.log10(255**2 / np.array(errors))) >= 27
    readings = read_many(restored)
    for name in ATTRIBUTES:
        right = [(reading[name] > 0.5) == truth.get(name, False) for reading, (_, truth) in zip(readings, pairs, strict=True)]
        assert np.mean(right) >= (0.92 if name in FLAWS else 0.97), name  # 95 and 98 % wanted; so small a sample may err more
    with pytest.raises(InputError, match="64x64 was given; allowed: 128x128"):
        negativa.terrarium.read(Image.new("RGB", (64, 64)))


def test_the_negative_takes_the_mustache_away_and_little_else(terrarium: negativa.Studio) -> None:
    """Twenty seeds, so bounds are wide; `make terrarium-report` measures a hundred."""
    recipe = Recipe("portrait of a man")
    arms = [recipe, recipe.replace(negative="mustache"), recipe.replace(prompt="portrait of a man without a mustache")]
    recipes = [arm.replace(seed=seed) for arm in arms for seed in range(20)]
    found = {result.receipt.recipe: result.image for result in terrarium.generate_many(recipes)}
    readings = read_many([found[terrarium.complete(one)] for one in recipes])
    plain, without, literal = (readings[i : i + 20] for i in (0, 20, 40))
    mustaches = [sum(reading["mustache"] > 0.5 for reading in arm) for arm in (plain, without, literal)]
    assert mustaches[1] <= 1 < 6 <= mustaches[0] <= 17 <= mustaches[2]
    for name in ("glasses", "hat", "smile"):  # of hair colour too little is kept: docs/terrarium.md
        kept = [(one[name] > 0.5) == (other[name] > 0.5) for one, other in zip(plain, without, strict=True)]
        assert sum(kept) >= 15, name
    assert sum(reading["man"] > 0.5 for reading in readings) >= 57
