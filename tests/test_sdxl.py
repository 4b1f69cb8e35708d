"""Stable Diffusion XL: equal to diffusers' own pipeline, and everything of the house works with it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionXLPipeline, UNet2DConditionModel
from safetensors.torch import save_file
from torch import Tensor
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

import negativa
from negativa import Image, InputError, ModelError, Negative, Recipe
from negativa.plain.conditions import Nothing, Words
from negativa.sampling.passes import passes_of
from negativa.training.tokenizer import learn
from tests import adapter_files, embedding_files, test_adapters, test_parity
from tests.conftest import WORDS, schedule, tiny_clip, tiny_vae
from tests.original_layout import write_single_file
from tests.test_inside import ATTENDED, WORSE, insides

BASE = Recipe("portrait of a man", seed=7, steps=4, scale=4.0, sampler="ddim")
WIDTHS = (32, 48)  # of the two text encoders
SHOWN, OTHER = adapter_files.picture(1), adapter_files.picture(2)


def tiny_xl(folder: Path, channels: int = 4) -> StableDiffusionXLPipeline:
    """An untrained Stable Diffusion XL of a few thousand weights, 32x32 pictures, latent factor 2."""
    torch.manual_seed(0)
    tokenizer = learn(WORDS)
    tokenizer.save_pretrained(folder)
    second = CLIPTokenizer.from_pretrained(folder, pad_token="!")  # as published
    texts = [tiny_clip(tokenizer, width, projection_dim=24) for width in WIDTHS]
    unet = UNet2DConditionModel(
        block_out_channels=(8, 16),
        layers_per_block=1,
        sample_size=16,
        in_channels=channels,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 2),
        attention_head_dim=(1, 2),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=6 * 8 + 24,
        cross_attention_dim=sum(WIDTHS),
        norm_num_groups=4,
    )
    vae = tiny_vae(scaling_factor=0.13025)
    with torch.no_grad():  # otherwise what the U-Net is told beside the latents hardly moves it
        for layer in (unet.add_embedding.linear_1, unet.add_embedding.linear_2):
            layer.weight.mul_(2.0)
    return StableDiffusionXLPipeline(
        vae, CLIPTextModel(texts[0]), CLIPTextModelWithProjection(texts[1]), tokenizer, second, unet, schedule()
    )


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder for each nothing that the pipeline's configuration may say; but for that they are the same."""
    place = tmp_path_factory.mktemp("xl")
    found = {name: place / name for name in ("zeros", "empty")}
    tiny_xl(place / "words").save_pretrained(found["zeros"])
    shutil.copytree(found["zeros"], found["empty"])
    changed(found["empty"] / "model_index.json", force_zeros_for_empty_prompt=False)
    return found


def changed(file: Path, **values) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def theirs_of(folder: Path) -> StableDiffusionXLPipeline:
    pipeline = StableDiffusionXLPipeline.from_pretrained(folder, add_watermarker=False)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.fixture(scope="module")
def pairs(folders: dict[str, Path]) -> dict[str, tuple[negativa.Studio, StableDiffusionXLPipeline]]:
    """Our studio and diffusers' pipeline on the same files."""
    return {name: (negativa.load(str(folder)), theirs_of(folder)) for name, folder in folders.items()}


@pytest.fixture(scope="module")
def xl(pairs) -> negativa.Studio:
    return pairs["zeros"][0]


@pytest.fixture
def copy(folders: dict[str, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(folders["zeros"], tmp_path / "copy"))


def same(found: Tensor, wanted: Tensor) -> None:
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-4)


class TestParity:
    @pytest.mark.parametrize("sampler", ["euler_a", "euler", "ddim", "dpmpp_2m", "heun"])
    @pytest.mark.parametrize(("nothing", "negative"), [("zeros", ""), ("empty", ""), ("zeros", "mustache, glasses")])
    def test_latents_equal_the_pipelines(self, pairs, sampler: str, nothing: str, negative: str) -> None:
        studio, pipeline = pairs[nothing]
        recipe = BASE.replace(negative=negative, sampler=sampler)
        same(studio.generate(recipe).latents, test_parity.expected(pipeline, recipe))

    def test_pictures_of_another_size_equal_the_pipelines(self, pairs) -> None:
        studio, pipeline = pairs["zeros"]
        made = studio.generate(BASE.replace(width=48, negative="hat", sampler="euler"))
        theirs = pipeline(
            BASE.prompt,
            negative_prompt="hat",
            width=48,
            height=32,
            num_inference_steps=BASE.steps,
            guidance_scale=BASE.scale,
            generator=torch.Generator().manual_seed(BASE.seed),
        ).images[0]
        ours, wanted = (torch.tensor(list(one.tobytes()), dtype=torch.int16) for one in (made.image, theirs))
        assert made.image.size == theirs.size == (48, 32) and (ours - wanted).abs().max() <= 1

    def test_scale_1_is_the_prompt_alone(self, pairs) -> None:
        studio, pipeline = pairs["zeros"]
        same(studio.generate(BASE.replace(scale=1.0)).latents, test_parity.expected(pipeline, BASE.replace(scale=1.0)))


class TestNothing:
    def test_the_model_says_which_it_was_made_for(self, pairs, copy: Path) -> None:
        filled = {name: studio.complete(Recipe()) for name, (studio, _) in pairs.items()}
        assert {name: recipe.nothing for name, recipe in filled.items()} == {"zeros": "zeros", "empty": "empty"}
        assert all(recipe.scale == 5.0 for recipe in filled.values())
        index = json.loads((copy / "model_index.json").read_text())
        del index["force_zeros_for_empty_prompt"]
        (copy / "model_index.json").write_text(json.dumps(index))
        assert negativa.load(str(copy)).complete(Recipe()).nothing == "zeros"

    def test_a_recipe_may_say_another(self, pairs) -> None:
        one, other = (studio.generate(BASE.replace(nothing="empty")) for studio, _ in pairs.values())
        assert torch.equal(one.latents, other.latents) and one.receipt.recipe.nothing == "empty"
        made = [one.latents, *(pairs["zeros"][0].generate(BASE.replace(nothing=k)).latents for k in ("zeros", "dropped"))]
        assert all((a - b).abs().max() > 0.01 for i, a in enumerate(made) for b in made[:i])

    def test_zeros_are_zeros_as_a_whole_too(self, xl) -> None:
        for kind in ("zeros", "dropped"):
            said = xl.denoiser._encoding(Nothing(kind), 1)
            assert said.states.shape == (77, sum(WIDTHS)) and not said.pooled.any()
            assert said.states.any() == (kind == "dropped") and bool((said.states == said.states[0]).all())


def by_hand(studio: negativa.Studio, ids: list[int]) -> tuple[Tensor, Tensor]:
    """What both encoders say of one chunk, (tokens, width), and what the second says of it as a whole."""
    mine, read, pooled = studio.denoiser, [], torch.empty(0)
    for tokenizer, encoder in ((mine.tokenizer, mine.text_encoder), (mine.tokenizer_2, mine.text_encoder_2)):
        row = [tokenizer.bos_token_id, *ids, tokenizer.eos_token_id]
        row += [tokenizer.pad_token_id] * (77 - len(row))
        with torch.no_grad():
            said = encoder(torch.tensor([row]), output_hidden_states=True)
        read.append(said.hidden_states[-2][0])
        pooled = getattr(said, "text_embeds", pooled)
    return torch.cat(read, 1), pooled[0]


class TestTexts:
    def said(self, studio: negativa.Studio, text: str, room: int = 1):
        ((one, _),) = passes_of(Recipe(text))["positive"]
        return studio.denoiser._encoding(one.condition, room)

    def test_a_long_text_is_its_chunks_and_the_first_is_pooled(self, xl) -> None:
        text = " ".join(["hat", "man"] * 60)
        ids = xl.denoiser.tokenizer(text, add_special_tokens=False).input_ids
        first, second = by_hand(xl, ids[:75]), by_hand(xl, ids[75:])
        assert 75 < len(ids) <= 150 and not xl.generate(BASE.replace(prompt=text, steps=1)).receipt.notices
        said = self.said(xl, text)
        torch.testing.assert_close(said.states, torch.cat([first[0], second[0]]))
        torch.testing.assert_close(said.pooled, first[1])

    def test_weights_act_on_each_encoder_by_itself(self, xl) -> None:
        ids = [xl.denoiser.tokenizer(text, add_special_tokens=False).input_ids for text in ("a man,", "hat")]
        (z, pooled), weights = by_hand(xl, ids[0] + ids[1]), torch.ones(77, 1)
        weights[1 + len(ids[0]) : 1 + len(ids[0]) + len(ids[1])] = 1.4
        wanted = [part * weights * part.mean() / (part * weights).mean() for part in z.split(WIDTHS, 1)]
        said = self.said(xl, "a man, (hat:1.4)")
        torch.testing.assert_close(said.states, torch.cat(wanted, 1))
        torch.testing.assert_close(said.pooled, pooled)

    def test_an_exclamation_mark_is_one_to_both(self, xl) -> None:
        ids = xl.denoiser.tokenizer("hat!", add_special_tokens=False).input_ids
        assert ids != xl.denoiser.tokenizer_2("hat!", add_special_tokens=False).input_ids
        torch.testing.assert_close(self.said(xl, "hat!").states, by_hand(xl, ids)[0])

    def test_schedules_and_clauses_run(self, xl) -> None:
        made = xl.generate(BASE.replace(prompt="[man:hat:0.5] AND house:0.5", negative="(glasses:1.2) BREAK lawn"))
        assert made.latents.isfinite().all() and not made.receipt.notices


class TestEmbeddings:
    def test_both_encoders_are_given_the_vectors(self, folders, tmp_path: Path) -> None:
        vectors = [torch.randn(2, width, generator=torch.Generator().manual_seed(width)) for width in WIDTHS]
        file = embedding_files.sdxl(tmp_path / "badhat.safetensors", *vectors)
        recipe = BASE.replace(negative="badhat, glasses")
        made = negativa.load(str(folders["zeros"]), embeddings=file).generate(recipe)
        theirs = theirs_of(folders["zeros"])
        for tokenizer, encoder, rows in (
            (theirs.tokenizer, theirs.text_encoder, vectors[0]),
            (theirs.tokenizer_2, theirs.text_encoder_2, vectors[1]),
        ):
            tokenizer.add_tokens(["<one>", "<two>"])
            table = encoder.get_input_embeddings()
            encoder.set_input_embeddings(torch.nn.Embedding.from_pretrained(torch.cat([table.weight.data, rows])))
        given = recipe.replace(negative="<one> <two>, glasses")
        learned_word_pooled = test_parity.expected(theirs, given)
        theirs.text_encoder_2.text_model.eos_token_id = theirs.tokenizer_2.eos_token_id
        same(made.latents, test_parity.expected(theirs, given))
        assert (made.latents - learned_word_pooled).abs().max() > 1e-3
        assert list(made.receipt.embeddings) == ["badhat"] and not made.receipt.notices

    @pytest.mark.parametrize(("width", "said"), [(32, "clip_l of width 32"), (1280, "clip_g of width 1280")])
    def test_one_of_another_family_changes_nothing(self, folders, tmp_path: Path, width: int, said: str) -> None:
        save_file({"emb_params": torch.zeros(2, width)}, tmp_path / "other.safetensors")
        studio = negativa.load(str(folders["zeros"]), embeddings=tmp_path)
        with pytest.raises(InputError, match=rf"'other' is for .*\({said}\); allowed: vectors of width 32\+48"):
            studio.generate(BASE.replace(negative="other"))
        assert "<other>" not in studio.denoiser.tokenizer.get_vocab() | studio.denoiser.tokenizer_2.get_vocab()


class TestAdapters:
    @pytest.fixture(scope="class")
    def models(self, folders, tmp_path_factory: pytest.TempPathFactory) -> Path:
        place = tmp_path_factory.mktemp("adapters") / "models"
        unet = theirs_of(folders["zeros"]).unet
        for kind in ("base", "plus"):
            projection = adapter_files.PROJECTIONS[kind](sum(WIDTHS))
            adapter_files.written(place / f"{kind}.safetensors", projection, adapter_files.keys_and_values(unet))
        adapter_files.encoder(place / "image_encoder")
        return place

    @pytest.mark.parametrize("kind", ["base", "plus"])
    def test_pictures_on_either_side_equal_the_pipelines(self, folders, models: Path, kind: str) -> None:
        studio = negativa.load(str(folders["zeros"]), adapters=models / f"{kind}.safetensors")
        pipeline = theirs_of(folders["zeros"])
        pipeline.load_ip_adapter(str(models.parent), subfolder=models.name, weight_name=f"{kind}.safetensors")
        recipe = BASE.replace(images=Image(SHOWN, kind, 0.7))
        followed = studio.generate(recipe)
        same(followed.latents, test_adapters.expected(pipeline, recipe, 0.7, ip_adapter_image=SHOWN))
        embeds = [pipeline.encode_image(one, "cpu", 1, kind != "base")[0][None] for one in (OTHER, SHOWN)]
        left = studio.generate(recipe.replace(negative=Negative(Image(OTHER, kind), 0.7)))
        same(left.latents, test_adapters.expected(pipeline, recipe, 0.7, ip_adapter_image_embeds=[torch.cat(embeds)]))
        plain = studio.generate(BASE).latents
        assert min((a - b).abs().max() for a, b in ((plain, followed.latents), (followed.latents, left.latents))) > 0.01

    def test_one_of_another_family_is_refused(self, folders, models: Path, tmp_path: Path) -> None:
        layers = {f"1.{part}_ip.weight": torch.ones(2, 768) for part in ("to_k", "to_v")}
        path = adapter_files.written(tmp_path / "x.safetensors", adapter_files.base(768), layers)
        studio = negativa.load(str(folders["zeros"]), adapters=[path], image_encoder=models / "image_encoder")
        with pytest.raises(InputError, match=r"is for Stable Diffusion 1 and does not fit; allowed: .* of the width 80"):
            studio.complete(BASE.replace(images=Image(SHOWN)))


class TestInside:
    @pytest.mark.parametrize("rule", [*ATTENDED, *WORSE])
    def test_the_network_is_afterwards_what_it_was(self, xl, rule: str) -> None:
        unet = xl.denoiser.unet
        before, state = insides(unet), {name: value.clone() for name, value in unet.state_dict().items()}
        plain = xl.generate(BASE).latents
        recipe = BASE.replace(rule=rule, negative=("mustache", Negative("glasses, hat", 0.5, 0.2, 0.7)))
        assert not torch.equal(xl.generate(recipe).latents, plain)
        assert insides(unet) == before and all(torch.equal(value, state[name]) for name, value in unet.state_dict().items())
        assert torch.equal(xl.generate(BASE).latents, plain)

    def test_words_below_zero_are_read_by_both_encoders(self, xl) -> None:
        ids = xl.denoiser.tokenizer("mustache", add_special_tokens=False).input_ids
        torch.testing.assert_close(xl.denoiser._encoding(Words("mustache"), 1).words, by_hand(xl, ids)[0][1 : 1 + len(ids)])
        made = xl.generate(BASE.replace(prompt="portrait of a man (mustache:-1)"))
        assert not torch.equal(made.latents, xl.generate(BASE).latents)

    def test_pictures_of_several_sizes_are_the_same_alone_and_in_company(self, folders) -> None:
        studio = negativa.load(str(folders["zeros"]), reproducible=True)
        mixed = [BASE, BASE.replace(width=48, negative="hat"), BASE.replace(seed=3, rule="nag", negative="hat " * 80)]
        together = {one.index: one.latents for one in studio.generate_many(mixed)}
        assert all(torch.equal(studio.generate(recipe).latents, together[i]) for i, recipe in enumerate(mixed))


class TestFiles:
    def test_a_single_file_draws_what_its_folder_draws(self, folders, pairs, tmp_path: Path) -> None:
        path = tmp_path / "tiny.safetensors"
        for name, (whole, pipeline) in pairs.items():
            write_single_file(pipeline, path)
            single = negativa.load(str(path), config=str(folders[name])).generate(BASE)
            same(single.latents, whole.generate(BASE).latents)
            assert single.receipt.recipe.nothing == name

    def test_texts_are_encoded_once(self, folders, monkeypatch: pytest.MonkeyPatch) -> None:
        studio, seen = negativa.load(str(folders["empty"])), []
        for encoder in (studio.denoiser.text_encoder, studio.denoiser.text_encoder_2):
            encoder.register_forward_pre_hook(lambda one, _: seen.append(type(one)))
        list(studio.generate_many([BASE.replace(seed=seed, steps=1) for seed in range(3)]))
        assert seen == [CLIPTextModel, CLIPTextModelWithProjection] * 2

    def test_half_precision_decodes_in_whole(self, folders) -> None:
        studio = negativa.load(str(folders["zeros"]), dtype="float16")
        assert (studio.denoiser.dtype, studio.denoiser.vae.dtype) == ("float16", torch.float32)
        assert studio.generate(BASE.replace(steps=1)).image.size == (32, 32)

    def test_the_refiner_is_refused(self, copy: Path, tmp_path: Path) -> None:
        changed(copy / "model_index.json", _class_name="StableDiffusionXLImg2ImgPipeline", text_encoder=[None, None])
        for part in ("text_encoder", "tokenizer"):
            shutil.rmtree(copy / part)
        with pytest.raises(ModelError, match=r"XLImg2ImgPipeline without .*'text_encoder'.*allowed: .* the base model of XL"):
            negativa.load(str(copy))
        save_file({"conditioner.embedders.0.model.ln_final.bias": torch.zeros(1)}, tmp_path / "refiner.safetensors")
        with pytest.raises(ModelError, match=r"it is the refiner of Stable Diffusion XL; allowed: .* the base model of XL"):
            negativa.load(str(tmp_path / "refiner.safetensors"))

    def test_an_inpainting_model_is_refused(self, tmp_path: Path) -> None:
        tiny_xl(tmp_path / "words", channels=9).save_pretrained(tmp_path / "inpainting")
        with pytest.raises(ModelError, match="not those of text-to-image Stable Diffusion XL"):
            negativa.load(str(tmp_path / "inpainting"))

    @pytest.mark.parametrize(
        ("lost", "said"),
        [
            ("text_encoder_2", r"StableDiffusionXLPipeline without the parts \['text_encoder_2'\]"),
            ("tokenizer_2", r"StableDiffusionXLPipeline without the parts \['tokenizer_2'\]"),
            ("tokenizer_2/tokenizer.json", "could not be read: its tokenizer_2 has no vocabulary"),
            ("text_encoder_2/config.json", "could not be read"),
        ],
    )
    def test_a_missing_part(self, copy: Path, lost: str, said: str) -> None:
        gone = copy / lost
        shutil.rmtree(gone) if gone.is_dir() else gone.unlink()
        with pytest.raises(ModelError, match=said):
            negativa.load(str(copy))

    def test_a_pickle_of_the_second_encoder_is_refused(self, copy: Path) -> None:
        (file,) = (copy / "text_encoder_2").glob("*.safetensors")
        file.rename(file.with_suffix(".bin"))
        with pytest.raises(ModelError, match="text_encoder_2 only as a pickle"):
            negativa.load(str(copy))

    def test_encoders_of_different_words_are_refused(self, copy: Path) -> None:
        tokenizer = CLIPTokenizer.from_pretrained(copy / "tokenizer_2")
        tokenizer.add_tokens(["<more>"])
        tokenizer.save_pretrained(copy / "tokenizer_2")
        with pytest.raises(ModelError, match="not those of text-to-image Stable Diffusion XL"):
            negativa.load(str(copy))
