"""Stable Diffusion 3: equal to diffusers' own pipeline, with T5 and without it, and what it has not is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel, StableDiffusion3Pipeline
from safetensors.torch import save_file
from tokenizers import Tokenizer
from tokenizers.models import Unigram
from tokenizers.pre_tokenizers import Metaspace
from tokenizers.trainers import UnigramTrainer
from torch import Tensor
from transformers import (
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    T5Config,
    T5EncoderModel,
    T5TokenizerFast,
)

import negativa
from negativa import InputError, ModelError, Negative, Recipe
from negativa.rules import RULES
from negativa.rules.attended import Attended
from negativa.training.tokenizer import learn
from tests.conftest import WORDS, tiny_clip, tiny_vae

BASE = Recipe("portrait of a man", seed=7, steps=4, scale=4.0, sampler="euler")
WIDTHS, JOINT, POOLED = (32, 48), 96, 24  # of the two CLIPs, of T5 and the joint attention, of what a CLIP pools


def t5_tokenizer() -> T5TokenizerFast:
    learned = Tokenizer(Unigram())
    learned.pre_tokenizer = Metaspace()  # pyright: ignore[reportAttributeAccessIssue]
    special = ["<pad>", "</s>", "<unk>"]
    learned.train_from_iterator(WORDS, UnigramTrainer(vocab_size=60, special_tokens=special, unk_token="<unk>"))
    vocabulary = json.loads(learned.to_str())["model"]["vocab"]
    return T5TokenizerFast(vocab=[tuple(one) for one in vocabulary], extra_ids=0)


def tiny_sd3(folder: Path, t5: bool = True, layers: int = 2, **more) -> StableDiffusion3Pipeline:
    """An untrained Stable Diffusion 3 of a few thousand weights, 32x32 pictures, latent factor 2, patches of 2."""
    torch.manual_seed(0)
    tokenizer = learn(WORDS)
    tokenizer.save_pretrained(folder)
    second = CLIPTokenizer.from_pretrained(folder, pad_token="!")  # as published
    clips = [tiny_clip(tokenizer, width, projection_dim=POOLED) for width in WIDTHS]
    third = t5_tokenizer()
    config = T5Config(vocab_size=len(third), d_model=JOINT, d_ff=37, num_layers=2, num_heads=4, d_kv=24)
    transformer = SD3Transformer2DModel(
        sample_size=16,
        patch_size=2,
        in_channels=4,
        out_channels=4,
        num_layers=layers,
        attention_head_dim=8,
        num_attention_heads=4,
        joint_attention_dim=JOINT,
        caption_projection_dim=32,
        pooled_projection_dim=2 * POOLED,
        pos_embed_max_size=16,
        **more,
    )
    return StableDiffusion3Pipeline(
        transformer=transformer,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=tiny_vae(scaling_factor=1.5305, shift_factor=0.0609),
        text_encoder=CLIPTextModelWithProjection(clips[0]),
        tokenizer=tokenizer,
        text_encoder_2=CLIPTextModelWithProjection(clips[1]),
        tokenizer_2=second,
        text_encoder_3=T5EncoderModel(config) if t5 else None,
        tokenizer_3=third if t5 else None,
    )


@pytest.fixture(scope="module", params=[True, False], ids=["T5", "no T5"])
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[negativa.Studio, StableDiffusion3Pipeline]:
    """Our studio and diffusers' pipeline on the same files."""
    place = tmp_path_factory.mktemp("sd3")
    tiny_sd3(place / "words", request.param).save_pretrained(place / "model")
    absent = {} if request.param else {"text_encoder_3": None, "tokenizer_3": None}
    pipeline = StableDiffusion3Pipeline.from_pretrained(place / "model", **absent)
    pipeline.set_progress_bar_config(disable=True)
    return negativa.load(str(place / "model")), pipeline


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("sd3")
    tiny_sd3(place / "words").save_pretrained(place / "model")
    return place / "model"


@pytest.fixture(scope="module")
def sd3(folder: Path) -> negativa.Studio:
    return negativa.load(str(folder))


def drawn(pipeline: StableDiffusion3Pipeline, recipe: Recipe, **more) -> Tensor:
    return pipeline(
        recipe.prompt,
        negative_prompt=recipe.negative[0].condition if recipe.negative else None,
        num_inference_steps=recipe.steps,
        guidance_scale=recipe.scale,
        generator=torch.Generator().manual_seed(recipe.seed),
        output_type="latent",
        **more,
    ).images[0]


def same(found: Tensor, wanted: Tensor) -> None:
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-4)


class TestParity:
    @pytest.mark.parametrize("negative", ["", "mustache, glasses"])
    def test_latents_equal_the_pipelines(self, pair, negative: str) -> None:
        studio, pipeline = pair
        recipe = BASE.replace(negative=negative)
        same(studio.generate(recipe).latents, drawn(pipeline, recipe))

    def test_pictures_of_another_size_equal_the_pipelines(self, pair) -> None:
        studio, pipeline = pair
        recipe = BASE.replace(negative="hat", width=24, height=28)
        same(studio.generate(recipe).latents, drawn(pipeline, recipe, width=24, height=28))

    def test_the_picture_is_the_pipelines(self, pair) -> None:
        studio, pipeline = pair
        recipe = BASE.replace(negative="hat")
        theirs = pipeline.image_processor.pil_to_numpy(
            pipeline(
                recipe.prompt,
                negative_prompt="hat",
                num_inference_steps=recipe.steps,
                guidance_scale=recipe.scale,
                generator=torch.Generator().manual_seed(7),
            ).images[0]
        )
        ours = pipeline.image_processor.pil_to_numpy(studio.generate(recipe).image)
        assert abs(ours - theirs).max() <= 1.5 / 255

    def test_scale_1_is_the_prompt_alone(self, pair) -> None:
        studio, pipeline = pair
        made = studio.generate(BASE.replace(negative="hat", scale=1.0))
        same(made.latents, drawn(pipeline, BASE.replace(scale=1.0)))
        assert made.receipt.rows_asked == BASE.steps and "has no effect" in made.receipt.notices[0]


class TestTexts:
    def test_every_word_is_weighed_by_all_three(self, sd3) -> None:
        plain, weighed, one = (
            sd3.denoiser._encoding(sd3_words(text), 1).states for text in ("a man, hat", "a man, (hat:1.4)", "a man, (hat:1.0)")
        )
        assert torch.equal(plain, one)
        for part in (slice(0, 77), slice(77, None)):
            assert not torch.equal(plain[part], weighed[part])

    def test_long_texts_take_more_of_the_clips_and_no_more_of_t5(self, sd3) -> None:
        made = sd3.generate(BASE.replace(prompt="a man with a hat, " * 15, negative="hat"))
        assert sd3.room(made.receipt.recipe) == 2 and made.latents.isfinite().all()

    def test_the_models_own_defaults(self, sd3) -> None:
        made = sd3.generate(Recipe("portrait of a man", steps=2))
        assert (made.receipt.recipe.scale, made.receipt.recipe.nothing, made.image.size) == (7.0, "empty", (32, 32))
        assert made.receipt.recipe.sampler == "euler" and made.receipt.model_hash


def sd3_words(text: str):
    from negativa.sampling.passes import passes_of

    ((one, _),) = passes_of(Recipe(text))["positive"]
    return one.condition


@pytest.mark.parametrize("rule", [name for name, kind in RULES.items() if not issubclass(kind, Attended)])
def test_rules_of_predictions_work(sd3, rule: str) -> None:
    if rule in ("none", "autoguidance", "pag", "seg", "slg") or "euler" not in getattr(RULES[rule], "samplers", ("euler",)):
        return
    recipe = BASE.replace(rule=rule, negative=("mustache", Negative("hat", 0.5, 0.2, 0.8)))
    assert not torch.equal(sd3.generate(recipe).latents, sd3.generate(recipe.replace(negative=())).latents)


@pytest.mark.parametrize("rule", ["seg", "slg"])
def test_rules_without_layers_to_change_are_refused(sd3, rule: str) -> None:
    with pytest.raises(InputError, match="has no layers that"):
        sd3.generate(BASE.replace(rule=rule, negative="hat", steps=10))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"sampler": "euler_a"}, "sampler: 'euler_a' was given; allowed with this model, which predicts a flow: euler"),
        ({"width": 30}, "width: 30 was given; allowed: multiples of 4"),
        ({"height": 68}, "height: 68 was given; allowed with .*: at most 64"),
        ({"loras": ("a.safetensors",)}, "lora: .* allowed: none, Stable Diffusion 3 reads none here"),
    ],
)
def test_what_it_has_not_is_refused_in_a_sentence(sd3, change: dict, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        sd3.generate(BASE.replace(**change))


def test_parts_that_do_not_fit_are_refused(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    shutil.rmtree(copy / "text_encoder_2")
    with pytest.raises(ModelError, match=r"StableDiffusion3Pipeline without the parts \['text_encoder_2'\]"):
        negativa.load(str(copy))


def test_half_a_download_is_refused(folder: Path, tmp_path: Path) -> None:
    """T5 may be absent where the index says so, and there alone."""
    copy = shutil.copytree(folder, tmp_path / "copy")
    shutil.rmtree(copy / "text_encoder_3")
    with pytest.raises(ModelError, match=r"without the parts \['text_encoder_3'\]"):
        negativa.load(str(copy))


def test_a_single_file_is_refused_in_a_sentence(tmp_path: Path) -> None:
    save_file({"model.diffusion_model.joint_blocks.0.x_block.attn.qkv.weight": torch.zeros(2)}, tmp_path / "sd3.safetensors")
    with pytest.raises(ModelError, match="it is a single file of Stable Diffusion 3; allowed: a diffusers folder of it"):
        negativa.load(str(tmp_path / "sd3.safetensors"))


def test_skip_layer_guidance_is_the_published_one(tmp_path: Path) -> None:
    """Over all steps, where u + s' (c - u) + s'' (c - p) is our rule of scale s' + s'' and share s'' / (s' + s'' - 1)."""
    tiny_sd3(tmp_path / "words", layers=11).save_pretrained(tmp_path / "model")
    pipeline = StableDiffusion3Pipeline.from_pretrained(tmp_path / "model")
    pipeline.set_progress_bar_config(disable=True)
    skipping = {"skip_guidance_layers": [7, 8, 9], "skip_layer_guidance_start": -1, "skip_layer_guidance_stop": 1}
    theirs = drawn(pipeline, BASE.replace(negative="hat"), skip_layer_guidance_scale=2.8, **skipping)
    knobs = {"share": 2.8 / (BASE.scale + 2.8 - 1), "first": 0.0, "last": 1.0}
    recipe = BASE.replace(negative="hat", rule="slg", scale=BASE.scale + 2.8, knobs=knobs)
    studio = negativa.load(str(tmp_path / "model"))
    same(studio.generate(recipe).latents, theirs)
    together = {one.index: one.latents for one in studio.generate_many([recipe, BASE.replace(negative="hat")])}
    same(together[0], theirs)
    same(together[1], drawn(pipeline, BASE.replace(negative="hat")))
