"""Flux: equal to diffusers' own pipeline, distilled or not, and what it has not is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel
from torch import Tensor
from transformers import CLIPTextModel, T5Config, T5EncoderModel

import negativa
from negativa import InputError, Negative, Recipe
from negativa.plain.samplers import SAMPLERS
from negativa.sampling.steps import levels
from negativa.training.tokenizer import learn
from tests.conftest import WORDS, tiny_clip, tiny_vae
from tests.test_sd3 import same, t5_tokenizer

BASE = Recipe("portrait of a man", seed=7, steps=4, scale=3.0, width=32, height=32)
SHIFTED = {"base_shift": 0.5, "max_shift": 1.15, "base_image_seq_len": 256, "max_image_seq_len": 4096}


def tiny_flux(distilled: bool) -> FluxPipeline:
    """An untrained Flux of a few thousand weights, latent factor 2: as "dev" if `distilled`, else as "schnell"."""
    torch.manual_seed(0)
    tokenizer, third = learn(WORDS), t5_tokenizer()
    t5 = T5Config(vocab_size=len(third), d_model=48, d_ff=37, num_layers=2, num_heads=4, d_kv=12)
    transformer = FluxTransformer2DModel(
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=48,
        pooled_projection_dim=32,
        guidance_embeds=distilled,
        axes_dims_rope=(4, 4, 8),
    )
    shift = {"shift": 3.0, "use_dynamic_shifting": True, **SHIFTED} if distilled else {"shift": 1.0}
    return FluxPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(**shift),
        vae=tiny_vae(scaling_factor=0.3611, shift_factor=0.1159),
        text_encoder=CLIPTextModel(tiny_clip(tokenizer)),
        tokenizer=tokenizer,
        text_encoder_2=T5EncoderModel(t5),
        tokenizer_2=third,
        transformer=transformer,
    )


@pytest.fixture(scope="module", params=[True, False], ids=["distilled", "plain"])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[negativa.Studio, FluxPipeline]:
    """Our studio and diffusers' pipeline on the same files."""
    folder = tmp_path_factory.mktemp("flux")
    tiny_flux(request.param).save_pretrained(folder)
    pipeline = FluxPipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    return negativa.load(str(folder)), pipeline


def drawn(pipeline: FluxPipeline, recipe: Recipe, **more) -> Tensor:
    width, height = recipe.width or 0, recipe.height or 0
    packed = pipeline(
        recipe.prompt,
        negative_prompt=recipe.negative[0].condition if recipe.negative else "",
        true_cfg_scale=recipe.scale,
        num_inference_steps=recipe.steps,
        generator=torch.Generator().manual_seed(recipe.seed),
        output_type="latent",
        width=width,
        height=height,
        **more,
    ).images
    return FluxPipeline._unpack_latents(packed, height, width, pipeline.vae_scale_factor)[0]


class TestParity:
    @pytest.mark.parametrize("size", [(32, 32), (24, 28)])
    @pytest.mark.parametrize(("negative", "scale"), [("", 1.0), ("", 3.0), ("mustache, glasses", 3.0)])
    def test_latents_equal_the_pipelines(self, pair, size: tuple[int, int], negative: str, scale: float) -> None:
        studio, pipeline = pair
        recipe = BASE.replace(negative=negative, scale=scale, width=size[0], height=size[1])
        same(studio.generate(recipe).latents, drawn(pipeline, recipe))

    def test_pictures_of_several_sizes_run_side_by_side(self, pair) -> None:
        studio, pipeline = pair
        recipes = [BASE.replace(negative="hat", width=width) for width in (32, 24)]
        together = {one.index: one.latents for one in studio.generate_many(recipes)}
        for index, recipe in enumerate(recipes):
            same(together[index], drawn(pipeline, recipe))


class TestSamplers:
    @pytest.mark.parametrize("sampler", [name for name, one in SAMPLERS.items() if one.flow])
    def test_every_sampler_of_flows_has_the_pipelines_levels(self, pair, sampler: str) -> None:
        """From noise to nothing by even steps, shifted by the size of the picture; twice where a sampler asks twice."""
        studio, pipeline = pair
        drawn(pipeline, BASE)
        config = studio.denoiser.schedule(BASE.width, BASE.height)
        found = [one.sigma for one in levels(sampler, config, BASE.steps)]
        expected = pipeline.scheduler.sigmas[:-1].tolist()
        if SAMPLERS[sampler].evaluations == 2:
            expected = [expected[0], *(one for one in expected[1:] for _ in range(2))]
        assert found == pytest.approx(expected, abs=2e-3)
        made = studio.generate(BASE.replace(sampler=sampler, negative="hat"))
        assert made.latents.isfinite().all()


class TestDistilledScale:
    def test_latents_equal_the_pipelines(self, pair) -> None:
        studio, pipeline = pair
        if studio.denoiser.distilled_scale is None:
            made = studio.generate(BASE.replace(distilled_scale=2.0))
            same(made.latents, studio.generate(BASE).latents)
            assert "was not distilled from guidance; 2 has no effect" in made.receipt.notices[0]
            return
        recipes = [BASE.replace(negative="hat", distilled_scale=given) for given in (2.0, 0.0, None, 3.5)]
        together = {one.index: one.latents for one in studio.generate_many(recipes)}
        for index, recipe in enumerate(recipes):
            told = 3.5 if recipe.distilled_scale is None else recipe.distilled_scale
            same(together[index], drawn(pipeline, recipe, guidance_scale=told))
        assert torch.equal(together[2], together[3]) and not torch.equal(together[0], together[1])

    def test_picture_files_say_it_as_others_do(self, pair, tmp_path: Path) -> None:
        studio = pair[0]
        made = studio.generate(BASE)
        made.save(tmp_path / "x.png")
        read = negativa.read(tmp_path / "x.png")
        told = studio.denoiser.distilled_scale
        assert read.recipe.distilled_scale == told and read.infotext.recipe().distilled_scale == told
        assert read.infotext.settings.get("Distilled CFG Scale") == (None if told is None else "3.5")


class TestRecipes:
    def test_the_models_own_defaults(self, pair) -> None:
        made = pair[0].generate(Recipe("portrait of a man", "hat", steps=2))
        recipe = made.receipt.recipe
        assert (recipe.scale, recipe.nothing, recipe.sampler, made.image.size) == (1.0, "empty", "euler", (256, 256))
        assert "the negative 'hat' has no effect: at scale 1" in made.receipt.notices[0]

    @pytest.mark.parametrize("rule", ["cfg", "perp_neg", "sld", "apg", "cfg_zero"])
    def test_several_negatives_under_rules_of_predictions(self, pair, rule: str) -> None:
        recipe = BASE.replace(rule=rule, negative=("mustache", Negative("hat", 0.5, 0.2, 0.8)))
        assert not torch.equal(pair[0].generate(recipe).latents, pair[0].generate(recipe.replace(negative=())).latents)

    def test_words_are_weighed_and_texts_beyond_t5_are_said_to_be_cut(self, pair) -> None:
        studio = pair[0]
        plain, weighed = (studio.generate(BASE.replace(prompt=text)).latents for text in ("a man, hat", "a man, (hat:1.4)"))
        assert not torch.equal(plain, weighed)
        cut = studio.generate(BASE.replace(prompt="a man with a hat, " * 60))
        assert "prompt: the text is longer than the model reads; cut:" in cut.receipt.notices[0]

    @pytest.mark.parametrize(
        ("change", "sentence"),
        [
            ({"sampler": "ddim"}, "allowed with this model, which predicts a flow: euler"),
            ({"width": 30}, "width: 30 was given; allowed: multiples of 4"),
            ({"rule": "pag", "negative": "hat"}, "has no layers that 'pag' changes"),
            ({"loras": ("a.safetensors",)}, r"lora: .* allowed: none, Flux.1 reads none here"),
        ],
    )
    def test_what_it_has_not_is_refused_in_a_sentence(self, pair, change: dict, sentence: str) -> None:
        with pytest.raises(InputError, match=sentence):
            pair[0].generate(BASE.replace(**change))


def test_the_picture_is_the_pipelines(pair) -> None:
    studio, pipeline = pair
    theirs = pipeline(
        BASE.prompt, num_inference_steps=4, generator=torch.Generator().manual_seed(7), width=32, height=32
    ).images[0]
    to_array = pipeline.image_processor.pil_to_numpy
    assert abs(to_array(studio.generate(BASE.replace(scale=1.0)).image) - to_array(theirs)).max() <= 1.5 / 255


def test_a_folder_of_other_sizes_is_refused(tmp_path: Path) -> None:
    pipeline = tiny_flux(True)
    pipeline.vae = tiny_vae(latent_channels=8)
    pipeline.save_pretrained(tmp_path)
    with pytest.raises(negativa.ModelError, match=r"are not those of text-to-image Flux\.1"):
        negativa.load(str(tmp_path))
