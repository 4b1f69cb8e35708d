"""Adapters of Stable Diffusion 3 (InstantX) and Flux (XLabs): read as published, equal to diffusers' own pipelines."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from diffusers import FluxPipeline, StableDiffusion3Pipeline
from diffusers.models.attention_processor import SD3IPAdapterJointAttnProcessor2_0
from diffusers.models.embeddings import IPAdapterTimeImageProjection
from torch import Tensor
from transformers import SiglipImageProcessor, SiglipVisionConfig, SiglipVisionModel

import negativa
from negativa import Image, InputError, Negative, Recipe
from negativa.plain.conditions import Shown, Words
from negativa.plain.passes import Pass, Patch
from tests import adapter_files as files
from tests.test_flux import tiny_flux
from tests.test_joint import ATTENDED, insides
from tests.test_sd3 import same, tiny_sd3

SHOWN, OTHER = files.picture(1), files.picture(2)
BASE = Recipe("portrait of a man", seed=7, steps=4, scale=3.0, width=32, height=32, sampler="euler")
#: What InstantX calls the parts of a layer.
PUBLISHED = {
    "ln0": "0.norm1",
    "ln1": "0.norm2",
    "attn.to_q": "0.to_q",
    "attn.to_kv": "0.to_kv",
    "attn.to_out.0": "0.to_out",
    "adaln_norm": "1.0",
    "ff.net.0.proj": "1.1",
    "ff.net.2": "1.3",
    "adaln_proj": "2.1",
}


def instantx(layers: int) -> dict[str, dict[str, Tensor]]:
    """For a transformer of the width 32 in heads of 8, which sees 24 numbers at each place."""
    torch.manual_seed(1)
    projection = IPAdapterTimeImageProjection(files.SEEN, 32, 64, 4, 64, 1, 5, 4, 16)
    found: dict[str, Tensor] = {}
    for key, value in projection.state_dict().items():
        for ours, theirs in PUBLISHED.items():
            key = re.sub(rf"^(layers\.\d)\.{re.escape(ours)}\.", rf"\1.{theirs}.", key)
        found[key] = value * 4 if key.startswith("proj_in") else value
    beside = [SD3IPAdapterJointAttnProcessor2_0(32, 32, 8, 64) for _ in range(layers)]
    louder = {
        f"{i}.{key}": value * (8 if "to_v" in key else 1)
        for i, one in enumerate(beside)
        for key, value in one.state_dict().items()
    }
    return {"image_proj": found, "ip_adapter": louder}


def xlabs(blocks: int) -> dict[str, Tensor]:
    """For a transformer of the width 32 that reads texts of the width 48, which is told 20 numbers of a picture."""
    chance = torch.Generator().manual_seed(1)
    found = {f"ip_adapter_proj_model.{key}": value for key, value in files.base(48).items()}
    for i in range(blocks):
        for part, (name, shape) in ((part, one) for part in "kv" for one in (("weight", (32, 48)), ("bias", (32,)))):
            found[f"double_blocks.{i}.processor.ip_adapter_double_stream_{part}_proj.{name}"] = (
                torch.randn(shape, generator=chance) / 2
            )
    return found


def siglip(folder: Path) -> Path:
    torch.manual_seed(0)
    sizes = {"hidden_size": files.SEEN, "intermediate_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2}
    model = SiglipVisionModel(SiglipVisionConfig(**sizes, image_size=files.SIDE, patch_size=16))
    with torch.no_grad():
        for value in model.parameters():
            value.mul_(8.0)
    model.save_pretrained(folder)
    SiglipImageProcessor(size={"height": files.SIDE, "width": files.SIDE}).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def adapters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("adapters")
    for name in ("sd3", "flux"):
        (place / name).mkdir()
    torch.save(instantx(2), place / "sd3" / "ip-adapter.bin")
    files.save_file(xlabs(1), place / "flux" / "ip_adapter.safetensors")
    siglip(place / "sd3" / "image_encoder")
    files.encoder(place / "flux" / "image_encoder")
    return place


@pytest.fixture(scope="module")
def sd3(adapters: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[negativa.Studio, StableDiffusion3Pipeline]:
    """As 3.5, which has norms of its own where the adapter has some."""
    place = tmp_path_factory.mktemp("sd3")
    made = tiny_sd3(place / "words", qk_norm="rms_norm")
    with torch.no_grad():
        for block in made.transformer.transformer_blocks:
            block.attn.norm_q.weight.uniform_(0.5, 2.0)
            block.attn.norm_k.weight.uniform_(0.5, 2.0)
    made.save_pretrained(place / "model")
    pipeline = StableDiffusion3Pipeline.from_pretrained(place / "model")
    pipeline.set_progress_bar_config(disable=True)
    encoder = str(adapters / "sd3" / "image_encoder")
    pipeline.load_ip_adapter(str(adapters / "sd3"), "ip-adapter.bin", image_encoder_folder=encoder)
    return negativa.load(str(place / "model"), adapters=[adapters / "sd3" / "ip-adapter.bin"]), pipeline


@pytest.fixture(scope="module")
def flux(adapters: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[negativa.Studio, FluxPipeline]:
    folder = tmp_path_factory.mktemp("flux")
    tiny_flux(True).save_pretrained(folder)
    pipeline = FluxPipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.load_ip_adapter(
        str(adapters / "flux"),
        "ip_adapter.safetensors",
        image_encoder_pretrained_model_name_or_path=str(adapters / "flux" / "image_encoder"),
        image_encoder_dtype=torch.float32,
    )
    return negativa.load(str(folder), adapters={"base": adapters / "flux" / "ip_adapter.safetensors"}), pipeline


@pytest.fixture(scope="module", params=["sd3", "flux"])
def studio(request: pytest.FixtureRequest) -> negativa.Studio:
    return request.getfixturevalue(request.param)[0]


def given(weight: float, *, follow: bool, away: bool) -> Recipe:
    images = (Image(SHOWN, weight=weight),) if follow else ()
    return BASE.replace(images=images, negative=Negative(Image(OTHER), weight) if away else ())


class TestParity:
    @pytest.mark.parametrize("away", [False, True])
    def test_stable_diffusion_3(self, sd3, away: bool) -> None:
        studio, pipeline = sd3
        pipeline.set_ip_adapter_scale(0.7)
        shown, other = (pipeline.encode_image(one, torch.device("cpu")) for one in (SHOWN, OTHER))
        wanted = pipeline(
            BASE.prompt,
            num_inference_steps=BASE.steps,
            guidance_scale=BASE.scale,
            generator=torch.Generator().manual_seed(BASE.seed),
            ip_adapter_image_embeds=torch.cat([other if away else torch.zeros_like(shown), shown]),
            output_type="latent",
        ).images[0]
        made = studio.generate(given(0.7, follow=True, away=away))
        same(made.latents, wanted)
        assert not torch.equal(made.latents, studio.generate(given(0.0, follow=True, away=False)).latents)
        assert made.receipt.adapters.keys() == {"base"}

    @pytest.mark.parametrize(("follow", "away"), [(True, False), (True, True), (False, True)])
    def test_flux(self, flux, follow: bool, away: bool) -> None:
        studio, pipeline = flux
        pipeline.set_ip_adapter_scale(0.7)
        packed = pipeline(
            BASE.prompt,
            negative_prompt="",
            true_cfg_scale=BASE.scale,
            num_inference_steps=BASE.steps,
            generator=torch.Generator().manual_seed(BASE.seed),
            ip_adapter_image=SHOWN if follow else None,
            negative_ip_adapter_image=OTHER if away else None,
            output_type="latent",
            width=32,
            height=32,
        ).images
        wanted = FluxPipeline._unpack_latents(packed, 32, 32, pipeline.vae_scale_factor)[0]
        same(studio.generate(given(0.7, follow=follow, away=away)).latents, wanted)


class TestActing:
    def test_rows_of_mixed_pictures_are_each_as_alone(self, studio) -> None:
        mixed = [
            BASE.replace(images=Image(SHOWN, weight=0.7)),
            BASE.replace(seed=1, steps=3),
            BASE.replace(negative=(Negative(Image(OTHER), 0.4), "hat"), seed=2, steps=2),
            BASE.replace(images=(Image(SHOWN, weight=0.3), Image(OTHER, weight=1.2)), seed=3),
            BASE.replace(negative=Negative(Image(OTHER), keep=Image(SHOWN)), seed=4),
        ]
        together = {one.index: one.latents for one in studio.generate_many(mixed)}
        for index, recipe in enumerate(mixed):
            torch.testing.assert_close(studio.generate(recipe).latents, together[index], rtol=0, atol=1e-3)

    def test_one_of_two_pictures_goes_out_of_sight_with_its_weight(self, studio) -> None:
        one = BASE.replace(images=Image(SHOWN))
        two, same_twice = (one.replace(images=(Image(SHOWN), other)) for other in (Image(OTHER, weight=1e-30), Image(SHOWN)))
        same(studio.generate(two).latents, studio.generate(one).latents)
        if "Flux" in studio.denoiser.family:  # there the tokens are read without those of the picture that is drawn
            same(studio.generate(same_twice).latents, studio.generate(one).latents)

    @pytest.mark.parametrize("rule", ["perp_neg", "apg", *ATTENDED])
    def test_rules_hear_it_by_weight_and_window_and_leave_the_network_as_it_was(self, studio, rule: str) -> None:
        before = insides(studio.denoiser.transformer)
        away = Image(OTHER)
        negatives = (Negative(away), Negative(away, 0.3), Negative(away, 1.0, 0.25), Negative(away, keep=files.picture(3)), ())
        knobs = ({"until": 1.0} if rule in ATTENDED else {}) | ({"threshold": -1.0} if rule == "negtome" else {})
        recipe = BASE.replace(rule=rule, images=Image(SHOWN, weight=0.5), knobs=knobs)
        made = [studio.generate(recipe.replace(negative=one)) for one in negatives]
        assert not any(torch.equal(a.latents, b.latents) for i, a in enumerate(made) for b in made[:i])
        assert not any(one.receipt.notices for one in made[:-1]) and insides(studio.denoiser.transformer) == before

    def test_the_prompts_own_words_and_picture_move_nothing(self, studio) -> None:
        """Through every layer, the picture is the same beside the prompt and beside what is moved away from."""
        condition = Shown(Words("a man"), ((Image(SHOWN), 0.8),))
        numbers = (("push", 3.0), ("limit", 1.5), ("blend", 0.4))
        passes = [Pass(condition), Pass(condition, (Patch("nag", numbers, ((condition, 1.0),)),))]
        latents = torch.randn(4, 16, 16, generator=torch.Generator().manual_seed(3))
        plain, steered = studio.denoiser.predict([latents] * 2, [700.0] * 2, passes)
        torch.testing.assert_close(steered, plain, rtol=0, atol=1e-5)

    def test_a_sign_flip_turns_the_negatives_picture_around(self, studio) -> None:
        """A little of it moves the prediction one way, as much of its opposite the other."""
        own, shown = Words("a man"), Shown(Words("hat"), ((Image(OTHER), 0.8),))
        passes = [Pass(Shown(own, ((Image(SHOWN), 0.8),)))]
        for strength in (0.0, 0.01, -0.01):
            patch = Patch("flip", (("strength", strength), ("offset", 0.0)), ((replace(shown, text=Words("")), 1.0),))
            passes.append(replace(passes[0], patches=(patch,)))
        latents = torch.randn(4, 16, 16, generator=torch.Generator().manual_seed(3))
        _, none, one, other = studio.denoiser.predict([latents] * 4, [700.0] * 4, passes)
        moved, back = one - none, other - none
        assert torch.cosine_similarity(moved.flatten(), back.flatten(), 0) < -0.99 and moved.abs().max() > 1e-4

    def test_weight_0_is_the_run_without_bit_for_bit(self, studio) -> None:
        for recipe in (given(0.0, follow=True, away=False), given(0.0, follow=False, away=True)):
            made = studio.generate(recipe)
            assert torch.equal(made.latents, studio.generate(BASE).latents) and "its weight is 0" in made.receipt.notices[0]

    def test_what_stands_for_no_image(self, studio) -> None:
        trained = "black" if "Flux" in studio.denoiser.family else "zeros"
        made = {
            kind: studio.generate(given(1.0, follow=True, away=False).replace(no_image=kind))
            for kind in ("trained", "zeros", "black", "gray")
        }
        alike = {kind for kind, one in made.items() if torch.equal(one.latents, made["trained"].latents)}
        assert alike == {"trained", trained}


@pytest.mark.parametrize("rule", ["cfg", *ATTENDED])
def test_in_half_precision(studio, adapters: Path, rule: str) -> None:
    file = adapters / ("flux/ip_adapter.safetensors" if "Flux" in studio.denoiser.family else "sd3/ip-adapter.bin")
    half = negativa.load(studio.denoiser.name, dtype="bfloat16", adapters={"base": file})
    negatives = ("hat", Negative(Image(OTHER), keep=Image(SHOWN)))
    made = half.generate(BASE.replace(rule=rule, negative=negatives, images=Image(SHOWN, weight=0.5), steps=2))
    assert made.latents.isfinite().all()


class TestRefusals:
    def test_adapters_of_another_family(self, sd3, flux, adapters: Path, pipeline, tmp_path: Path) -> None:
        theirs, ours = adapters / "flux" / "ip_adapter.safetensors", adapters / "sd3" / "ip-adapter.bin"
        unet = files.written(tmp_path / "unet.safetensors", files.base(), files.keys_and_values(pipeline.unet))
        for studio, files_, words in (
            (sd3[0], (theirs, unet), "does not fit; allowed: that of InstantX for Stable Diffusion 3, for 2 blocks"),
            (flux[0], (ours, unet), "does not fit; allowed: that of XLabs for Flux, for 1 blocks"),
        ):
            for file in files_:
                studio = negativa.load(studio.denoiser.name, adapters=[file])
                with pytest.raises(InputError, match=words):
                    studio.generate(BASE.replace(images=Image(SHOWN)))

    def test_a_missing_encoder_and_an_adapter_that_is_not_there(self, sd3, adapters: Path, tmp_path: Path) -> None:
        alone = shutil.copy(adapters / "sd3" / "ip-adapter.bin", tmp_path)
        studio = negativa.load(sd3[0].denoiser.name, adapters=[alone])
        with pytest.raises(InputError, match=r"image encoder: 'base' needs one, .* a folder of SigLIP's"):
            studio.generate(BASE.replace(images=Image(SHOWN)))
        with pytest.raises(InputError, match="has no adapter 'plus'"):
            studio.generate(BASE.replace(images=Image(SHOWN, "plus")))
        with pytest.raises(InputError, match="allowed: one given with --adapter FILE"):
            negativa.load(sd3[0].denoiser.name).generate(BASE.replace(images=Image(SHOWN)))

    def test_a_damaged_one(self, sd3, tmp_path: Path) -> None:
        given = instantx(2)
        del given["image_proj"]["norm_out.weight"]
        torch.save(given, tmp_path / "x.bin")
        with pytest.raises(InputError, match="does not fit"):
            negativa.load(sd3[0].denoiser.name, adapters=[tmp_path / "x.bin"]).generate(BASE.replace(images=Image(SHOWN)))
