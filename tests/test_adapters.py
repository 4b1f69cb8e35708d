"""Adapters and what is seen through them: equal to diffusers, said where they do not fit, and the network as it was."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from torch import Tensor
from transformers import CLIPConfig, CLIPModel, CLIPTextConfig, CLIPVisionConfig

import negativa
from negativa import Image, InputError, Negative, Recipe
from negativa.denoisers.adapters import read
from negativa.denoisers.adapters.adapter import Adapter, fit
from negativa.denoisers.adapters.encoder import Encoder, width_of
from negativa.denoisers.patches.flip import Flip
from negativa.denoisers.patches.nag import Normalized
from negativa.denoisers.patches.places import Company, Processor
from negativa.denoisers.patches.seeing import Picture, Told, outcome, sights
from negativa.plain.images import upright
from negativa.plain.samplers import SAMPLERS
from negativa.sampling.steps import scheduler_class
from tests import adapter_files as files
from tests.conftest import tiny_pipeline
from tests.test_inside import by_hand, close, drawn, insides, out_of

BASE = Recipe("portrait of a man", seed=7, steps=3, scale=4.0, sampler="ddim")
SHOWN, OTHER = files.picture(1), files.picture(2)


@pytest.fixture(scope="module")
def models(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    unet = StableDiffusionPipeline.from_pretrained(folder).unet
    return files.models(tmp_path_factory.mktemp("adapters") / "models", unet)


@pytest.fixture(scope="module")
def seeing(folder: Path, models: Path) -> negativa.Studio:
    """A studio with every kind of adapter."""
    return negativa.load(str(folder), adapters=[models / f"{kind}.safetensors" for kind in files.PROJECTIONS])


@pytest.fixture(scope="module")
def theirs(folder: Path, models: Path) -> dict[tuple[str, ...], StableDiffusionPipeline]:
    """diffusers' own pipelines on the same files."""
    found = {}
    for kinds in (("base",), ("plus",), ("full",), ("base", "plus")):
        found[kinds] = StableDiffusionPipeline.from_pretrained(folder)
        found[kinds].load_ip_adapter(
            str(models.parent), subfolder=models.name, weight_name=[f"{kind}.safetensors" for kind in kinds]
        )
        found[kinds].set_progress_bar_config(disable=True)
    return found


def expected(pipeline: StableDiffusionPipeline, recipe: Recipe, scale: float | list[float], **given) -> Tensor:
    """The latents that diffusers makes."""
    sampler, original = SAMPLERS[recipe.sampler], pipeline.scheduler
    pipeline.scheduler = scheduler_class(sampler.scheduler).from_config(original.config, **dict(sampler.settings))
    pipeline.set_ip_adapter_scale(scale)
    try:
        return pipeline(
            recipe.prompt,
            negative_prompt=recipe.negative[0].text if recipe.negative else None,
            num_inference_steps=recipe.steps,
            guidance_scale=recipe.scale,
            generator=torch.Generator().manual_seed(recipe.seed),
            output_type="latent",
            **given,
        ).images[0]
    finally:
        pipeline.scheduler = original


def same(found: Tensor, wanted: Tensor) -> None:
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-4)


class TestParity:
    @pytest.mark.parametrize("kind", files.PROJECTIONS)
    @pytest.mark.parametrize("negative", ["", "hat"])
    def test_a_picture_to_follow(self, seeing, theirs, kind: str, negative: str) -> None:
        recipe = BASE.replace(negative=negative, images=Image(SHOWN, kind, 0.7))
        ours = seeing.generate(recipe).latents
        same(ours, expected(theirs[kind,], recipe, 0.7, ip_adapter_image=SHOWN))
        assert (ours - seeing.generate(BASE.replace(negative=negative)).latents).abs().max() > 0.01

    @pytest.mark.parametrize("kind", files.PROJECTIONS)
    @pytest.mark.parametrize("sampler", ["euler_a", "ddim"])
    def test_one_to_follow_and_one_to_stay_away_from(self, seeing, theirs, kind: str, sampler: str) -> None:
        recipe = BASE.replace(images=Image(SHOWN, kind, 0.7), sampler=sampler)
        pipeline = theirs[kind,]
        embeds = [pipeline.encode_image(one, "cpu", 1, kind != "base")[0][None] for one in (OTHER, SHOWN)]
        ours = seeing.generate(recipe.replace(negative=Negative(Image(OTHER, kind), 0.7))).latents
        same(ours, expected(pipeline, recipe, 0.7, ip_adapter_image_embeds=[torch.cat(embeds)]))

    @pytest.mark.parametrize("kind", ["base", "plus"])
    def test_one_to_stay_away_from_alone(self, seeing, theirs, kind: str) -> None:
        pipeline = theirs[kind,]
        away, nothing = (pipeline.encode_image(OTHER, "cpu", 1, kind != "base")[i][None] for i in (0, 1))
        ours = seeing.generate(BASE.replace(negative=Negative(Image(OTHER, kind), 0.5)))
        same(ours.latents, expected(pipeline, BASE, 0.5, ip_adapter_image_embeds=[torch.cat([away, nothing])]))
        assert ours.receipt.rows_asked == 2 * BASE.steps and not ours.receipt.notices

    def test_several_pictures_of_one_adapter_are_read_together(self, seeing, theirs) -> None:
        recipe = BASE.replace(images=(Image(SHOWN, weight=0.6), Image(OTHER, weight=0.6)))
        same(seeing.generate(recipe).latents, expected(theirs["base",], recipe, 0.6, ip_adapter_image=[[SHOWN, OTHER]]))

    def test_several_adapters_at_once(self, seeing, theirs) -> None:
        recipe = BASE.replace(images=(Image(SHOWN, "base", 0.6), Image(OTHER, "plus", 0.9)))
        wanted = expected(theirs["base", "plus"], recipe, [0.6, 0.9], ip_adapter_image=[SHOWN, OTHER])
        same(seeing.generate(recipe).latents, wanted)

    def test_scale_1_is_the_picture_alone(self, seeing, theirs) -> None:
        recipe = BASE.replace(images=Image(SHOWN), scale=1.0)
        same(seeing.generate(recipe).latents, expected(theirs["base",], recipe, 1.0, ip_adapter_image=SHOWN))


class TestOutcome:
    """One layer, by hand in float64: rows with no picture, one, and two of different weights."""

    given, words = drawn(3, 16, 16), drawn(3, 9, 32)
    told, away = Told([*words]), Told([*drawn(3, 9, 32, seed=1)])
    first, second = drawn(4, 32, seed=3), drawn(6, 32, seed=4)

    @pytest.fixture
    def attn(self, pipeline):
        return next(one for name, one in pipeline.unet.named_modules() if name.endswith("attn2"))

    @pytest.fixture
    def adapter(self, attn) -> Adapter:
        k, v = drawn(*attn.to_k.weight.shape, seed=5) / 4, drawn(*attn.to_v.weight.shape, seed=6) / 4
        return Adapter("base", "base", "", torch.nn.Identity(), {attn: (k, v)}, 1, {})

    def rows(self, adapter: Adapter, small: float = 0.2) -> list[list[Picture]]:
        one, two = Picture(adapter, self.first, 0.8), Picture(adapter, self.second, small)
        return [[], [one], [one, two]]

    def seen(self, attn, adapter: Adapter, row: int, tokens: Tensor, bias: Tensor, factor: Tensor | None = None) -> Tensor:
        """What the adapter reads out for one row."""
        k, v = adapter.layers[attn]
        q = attn.to_q.weight.double() @ self.given[row].double().mT
        keys, values = (weight.double() @ tokens.double().mT for weight in (k, v))
        q, keys, values = (x.unflatten(0, (attn.heads, -1)) for x in (q, keys, values))
        share = (torch.einsum("hdi,hdj->hij", q, keys) / q.shape[1] ** 0.5 + bias.double()).softmax(-1)
        share = share if factor is None else share * factor.double()
        return torch.einsum("hij,hdj->ihd", share, values).flatten(1).detach()

    def test_by_hand(self, attn, adapter: Adapter) -> None:
        with torch.no_grad():
            found = outcome(attn, attn.to_q(self.given), self.told, sights(self.rows(adapter)))
            plain = outcome(attn, attn.to_q(self.given), self.told, [])
        z, _ = by_hand(attn, self.given, self.words)
        both, bias = torch.cat([self.first, self.second]), torch.tensor([0.0] * 4 + [0.25] * 6)
        bias[4:] = bias[4:].log()
        close(found[1].double(), z[1] + 0.8 * self.seen(attn, adapter, 1, self.first, torch.zeros(4)))
        close(found[2].double(), z[2] + 0.8 * self.seen(attn, adapter, 2, both, bias))
        assert torch.equal(found[0], plain[0])

    def test_a_weight_that_goes_to_0_takes_its_picture_out(self, attn, adapter: Adapter) -> None:
        with torch.no_grad():
            found, without = (
                outcome(attn, attn.to_q(self.given), self.told, sights(rows))[2]
                for rows in (self.rows(adapter, 1e-9), [*self.rows(adapter)[:2], self.rows(adapter)[1]])
            )
        torch.testing.assert_close(found, without, rtol=0, atol=1e-6)

    def test_steering_reads_pictures_on_both_sides(self, attn, adapter: Adapter) -> None:
        own, away = self.rows(adapter), [[Picture(adapter, self.second, 0.5)]] * 3
        company = Company(self.told, [self.away], [], torch.ones(1, 3), (4, 4), own, [away])
        with torch.no_grad():
            z = outcome(attn, attn.to_q(self.given), self.told, sights(own)).double()
            other = outcome(attn, attn.to_q(self.given), company.others[0], sights(away)).double()
            before = attn.processor
            attn.set_processor(Processor(Normalized(3.0, 1e6, 1.0).change(company)))
            found = attn(self.given)
            attn.set_processor(before)
        close(found.double(), out_of(attn, 4 * z - 3 * other))

    def test_a_negative_picture_is_turned_around_among_those_seen(self, attn, adapter: Adapter) -> None:
        own = [[Picture(adapter, self.first, 0.8)]] * 3
        away = [[Picture(adapter, self.second, 0.8), Picture(adapter, self.first, 0.8, blank=True)]] * 3
        none = [[drawn(0, 32)]] * 3
        company = Company(self.told, [self.away], none, torch.ones(1, 3), (4, 4), own, [away])
        with torch.no_grad():
            before = attn.processor
            attn.set_processor(Processor(Flip(2.0, 0.3).change(company)))
            found = attn(self.given)
            attn.set_processor(before)
        z, _ = by_hand(attn, self.given, self.words)
        both, bias = torch.cat([self.first, self.second]), torch.tensor([0.0] * 4 + [-0.3] * 6)
        factor = torch.tensor([1.0] * 4 + [-2.0] * 6)
        seen = torch.stack([0.8 * self.seen(attn, adapter, row, both, bias, factor) for row in range(3)])
        close(found.double(), out_of(attn, z + seen))


class TestFiles:
    @pytest.mark.parametrize("kind", files.PROJECTIONS)
    def test_both_endings_hold_the_same(self, models: Path, tmp_path: Path, kind: str) -> None:
        one = read(models / f"{kind}.safetensors")
        other = read(files.written(tmp_path / "x.bin", dict(one.projection), dict(one.layers)))
        assert (one.kind, other.kind) == (kind, kind) and one.width == other.width == (
            files.WIDTH if kind == "base" else files.SEEN
        )
        assert all(torch.equal(value, other.layers[key]) for key, value in one.layers.items())
        assert all(torch.equal(value, other.projection[key]) for key, value in one.projection.items())

    def test_the_network_is_read_and_left(self, models: Path) -> None:
        unet = tiny_pipeline("epsilon").unet
        before = insides(unet)
        adapter = fit("base", read(models / "base.safetensors"), unet)
        assert insides(unet) == before and adapter.projection(torch.zeros(1, files.WIDTH)).shape == (1, 4, 32)
        inside = {id(one) for one in unet.parameters()}
        assert not any(id(one) in inside for pair in adapter.layers.values() for one in pair)

    def damaged(self, tmp_path: Path, models: Path, how: str) -> Path:
        sound = read(models / "base.safetensors")
        path, projection, layers = tmp_path / "x.safetensors", dict(sound.projection), dict(sound.layers)
        if how == "cut off":
            path.write_bytes((models / "base.safetensors").read_bytes()[:300])
            return path
        if how == "cut off .bin":
            whole = files.written(tmp_path / "whole.bin", projection, layers).read_bytes()
            (tmp_path / "x.bin").write_bytes(whole[: len(whole) // 2])
            return tmp_path / "x.bin"
        if how == "a model":
            return files.written(path, {}, {}) if layers.clear() else self._model(path)
        changes = {
            "face plus": lambda: projection.update({"perceiver_resampler.proj_in.weight": projection.pop("proj.weight")}),
            "odd": lambda: projection.clear() or projection.update({"x": torch.ones(2)}),
            "nan": lambda: layers["1.to_k_ip.weight"].fill_(float("nan")),
        }
        changes[how]()
        return files.written(path, projection, layers)

    def _model(self, path: Path) -> Path:
        files.save_file({"conv_in.weight": torch.ones(2)}, path)
        return path

    @pytest.mark.parametrize(
        ("how", "words"),
        [
            ("cut off", "is damaged, or no .safetensors file"),
            ("cut off .bin", "damaged|cut off"),
            ("a model", "it has no 'image_proj'; allowed: an IP-Adapter"),
            ("face plus", "is a FaceID Plus adapter, which reads a face twice; allowed: .* FaceID"),
            ("odd", "an unknown 'image_proj' of 1 values"),
            ("nan", "no finite numbers"),
        ],
    )
    def test_what_is_no_adapter_is_said(self, models: Path, tmp_path: Path, how: str, words: str) -> None:
        with pytest.raises(InputError, match=words) as refusal:
            read(self.damaged(tmp_path, models, how))
        assert str(refusal.value).startswith("adapter: ")

    def test_a_pickle_with_code_is_not_run(self, tmp_path: Path) -> None:
        torch.save({"image_proj": {"x": Path("here")}, "ip_adapter": {}}, tmp_path / "x.bin")
        with pytest.raises(InputError, match="holds code, 'pathlib"):
            read(tmp_path / "x.bin")

    @pytest.mark.parametrize("name", ["none.safetensors", "x.ckpt"])
    def test_what_is_no_file_is_said(self, tmp_path: Path, name: str) -> None:
        (tmp_path / "x.ckpt").write_bytes(b"")
        with pytest.raises(InputError, match=r"adapter: .*(is no file here|a file that ends in \.safetensors, \.bin)"):
            read(tmp_path / name)

    @pytest.mark.parametrize(
        ("width", "family"), [(2048, "Stable Diffusion XL"), (768, "Stable Diffusion 1"), (48, "the width 48")]
    )
    def test_another_family_is_said(self, folder: Path, tmp_path: Path, width: int, family: str) -> None:
        layers = {f"1.{part}_ip.weight": torch.ones(2, width) for part in ("to_k", "to_v")}
        path = files.written(tmp_path / "x.safetensors", files.base(width), layers)
        studio = negativa.load(str(folder), adapters=[path])
        with pytest.raises(InputError, match=f"is for .*{family} and does not fit; allowed: .* of the width 32"):
            studio.complete(BASE.replace(images=Image(SHOWN)))

    def test_a_part_that_is_missing_is_said(self, folder: Path, models: Path, tmp_path: Path) -> None:
        sound = read(models / "plus.safetensors")
        projection = {key: value for key, value in sound.projection.items() if key != "norm_out.bias"}
        path = files.written(tmp_path / "x.safetensors", projection, dict(sound.layers))
        with pytest.raises(InputError, match="its 'image_proj' is not whole"):
            negativa.load(str(folder), adapters=[path]).complete(BASE.replace(images=Image(SHOWN, "plus")))


class TestFaces:
    """FaceID: a face's embedding in the place of a picture, and a LoRA that comes with it."""

    FACE, OTHER = (np.random.default_rng(i).standard_normal(32).astype(np.float32) for i in (1, 2))

    @pytest.fixture(scope="class", params=[True, False], ids=["with LoRA", "without"])
    def pair(self, request, folder: Path, tmp_path_factory: pytest.TempPathFactory):
        """Our studio and diffusers' pipeline on the same file."""
        pipeline = StableDiffusionPipeline.from_pretrained(folder)
        layers = files.keys_and_values(pipeline.unet) | (files.face_lora(pipeline.unet) if request.param else {})
        path = files.written(tmp_path_factory.mktemp("faces") / "faceid.bin", files.face(), layers)
        pipeline.load_ip_adapter(str(path.parent), subfolder="", weight_name=path.name, image_encoder_folder=None)
        pipeline.set_progress_bar_config(disable=True)
        return negativa.load(str(folder), adapters=[path]), pipeline

    def embeds(self, *faces: np.ndarray) -> dict[str, list[Tensor]]:
        return {"ip_adapter_image_embeds": [torch.from_numpy(np.stack(faces))[:, None]]}

    def test_parity(self, pair, tmp_path: Path) -> None:
        studio, pipeline = pair
        np.save(tmp_path / "face.npy", self.FACE)
        recipe = BASE.replace(images=Image(tmp_path / "face.npy", "face", 0.7))
        made = studio.generate(recipe)
        same(made.latents, expected(pipeline, recipe, 0.7, **self.embeds(np.zeros_like(self.FACE), self.FACE)))
        again = BASE.replace(images=Image(self.FACE, "faceid", 0.7))
        torch.testing.assert_close(studio.generate(Recipe.from_json(again.to_json())).latents, made.latents, rtol=0, atol=0)
        away = again.replace(negative=Negative(Image(self.OTHER, "faceid"), 0.7))
        same(studio.generate(away).latents, expected(pipeline, recipe, 0.7, **self.embeds(self.OTHER, self.FACE)))

    def test_weight_0_and_the_next_picture_know_nothing_of_it(self, pair, folder: Path) -> None:
        studio, _ = pair
        before = insides(studio.denoiser.unet)
        studio.generate(BASE.replace(images=Image(self.FACE, "face")))
        plain = negativa.load(str(folder)).generate(BASE).latents
        for recipe in (BASE, BASE.replace(images=Image(self.FACE, "face", 0.0))):
            assert torch.equal(studio.generate(recipe).latents, plain)
        assert insides(studio.denoiser.unet) == before

    def test_refused(self, pair, seeing) -> None:
        studio, _ = pair
        with pytest.raises(InputError, match="is a picture; 'face' reads a face's embedding"):
            studio.complete(BASE.replace(images=Image(SHOWN, "face")))
        with pytest.raises(InputError, match="is a face's embedding; 'plus' reads pictures"):
            seeing.complete(BASE.replace(images=Image(self.FACE, "plus")))
        with pytest.raises(InputError, match="a face of 31 numbers was given; 'face' reads 32"):
            studio.complete(BASE.replace(images=Image(self.FACE[:31], "face")))
        with pytest.raises(InputError, match="no_image: 'noise' was given"):
            studio.generate(BASE.replace(images=Image(self.FACE, "face"), no_image="noise"))

    @pytest.mark.parametrize(
        "how", ["whole numbers", "several rows", "nan", "objects", "text", "empty", "folder", "large", "none"]
    )
    def test_what_is_no_face_is_said(self, tmp_path: Path, how: str) -> None:
        path = tmp_path / "x.npy"
        odd = {
            "whole numbers": np.arange(32),
            "several rows": np.ones((2, 32)),
            "nan": np.full(32, np.nan),
            "objects": np.array([Path("here")] * 32),
        }
        if how in odd:
            np.save(path, odd[how])
        elif how == "folder":
            path.mkdir()
        elif how != "none":
            path.write_bytes({"text": b"hello", "empty": b"", "large": bytes(2**21)}[how])
        with pytest.raises(InputError, match=r"^image: .*x\.npy"):
            Image(path, "face")

    def test_a_lora_that_does_not_fit_is_said(self, folder: Path, tmp_path: Path) -> None:
        unet = StableDiffusionPipeline.from_pretrained(folder).unet
        for change in ({"0.to_q_lora.down.weight": torch.ones(2, 5)}, {"99.to_q_lora.down.weight": torch.ones(2, 32)}):
            layers = files.keys_and_values(unet) | files.face_lora(unet) | change
            path = files.written(tmp_path / "x.safetensors", files.face(), layers)
            with pytest.raises(InputError, match="does not fit"):
                negativa.load(str(folder), adapters=[path]).complete(BASE.replace(images=Image(self.FACE, "face")))


class TestPlaces:
    def test_names(self, folder: Path, models: Path, seeing) -> None:
        assert list(seeing.denoiser.adapters) == ["base", "plus", "full"]
        named = negativa.load(str(folder), adapters={"mine": models / "plus.safetensors"})
        assert list(named.denoiser.adapters) == ["mine"]
        with pytest.raises(InputError, match="has no adapter 'base'; allowed: mine"):
            named.complete(BASE.replace(images=Image(SHOWN)))
        copy = Path(shutil.copy(models / "base.safetensors", models / "ip-adapter_sd15.safetensors"))
        assert list(negativa.load(str(folder), adapters=[copy]).denoiser.adapters) == ["ip-adapter_sd15", "base"]

    def test_a_models_own_are_found_in_its_folder(self, folder: Path, models: Path, tmp_path: Path) -> None:
        own = tmp_path / "model"
        shutil.copytree(folder, own)
        shutil.copytree(models / "image_encoder", own / "clip")
        (own / "ip_adapter").mkdir()
        shutil.copy(models / "plus.safetensors", own / "ip_adapter" / "plus.safetensors")
        made = negativa.load(str(own)).generate(BASE.replace(images=Image(SHOWN, "plus"), steps=1))
        assert made.receipt.adapters == {"plus": read(models / "plus.safetensors").hash}

    def test_a_model_without_one_says_so(self, studio) -> None:
        with pytest.raises(InputError, match="has no adapter 'base'; allowed: one given with --adapter FILE"):
            studio.generate(BASE.replace(negative=Image(SHOWN)))
        with pytest.raises(InputError, match="image: 'exact' reads none"):
            negativa.load("exact").generate(Recipe("north", images=Image(SHOWN)))
        with pytest.raises(InputError, match="adapters: they were given with 'exact'"):
            negativa.load("exact", adapters=["x"])

    def test_two_of_one_name_are_refused(self, folder: Path, models: Path, tmp_path: Path) -> None:
        for place in ("a", "b"):
            (tmp_path / place).mkdir()
            shutil.copy(models / "base.safetensors", tmp_path / place)
        paths = [tmp_path / place / "base.safetensors" for place in ("a", "b")]
        with pytest.raises(InputError, match=r"adapters: .* were given, which have one name; allowed: names of their own"):
            negativa.load(str(folder), adapters=paths)
        named = negativa.load(str(folder), adapters={"one": paths[0], "two": paths[1]})
        assert {"one", "two"} <= {*named.denoiser.adapters}

    @pytest.mark.parametrize(
        ("how", "words"),
        [
            ("missing", "needs one, there is none in .*image_encoder"),
            ("pickle", "only a pickle, which can run code"),
            ("empty", "has no weights"),
            ("config", "config.json of .* could not be read"),
            ("other", "says 28 numbers; the adapter 'base' reads 20"),
            ("damaged", "could not be read"),
            ("half", "no vision tower"),
        ],
    )
    def test_an_encoder_that_cannot_be_used_is_said(
        self, folder: Path, models: Path, tmp_path: Path, how: str, words: str
    ) -> None:
        adapter = Path(shutil.copy(models / "base.safetensors", tmp_path))
        place = tmp_path / "image_encoder"
        if how == "other":
            files.encoder(place, width=28)
        elif how != "missing":
            shutil.copytree(models / "image_encoder", place)
        weights = place / "model.safetensors"
        if how == "pickle":
            weights.rename(place / "pytorch_model.bin")
        elif how == "empty":
            weights.unlink()
        elif how == "config":
            (place / "config.json").write_text("{")
        elif how == "damaged":
            weights.write_bytes(weights.read_bytes()[:100])
        elif how == "half":
            files.save_file({"visual_projection.weight": torch.ones(files.WIDTH, files.SEEN)}, weights)
        with pytest.raises(InputError, match=f"image encoder: .*{words}"):
            negativa.load(str(folder), adapters=[adapter]).complete(BASE.replace(images=Image(SHOWN)))

    def test_an_encoder_by_its_path(self, folder: Path, models: Path, tmp_path: Path) -> None:
        adapter = Path(shutil.copy(models / "base.safetensors", tmp_path))
        studio = negativa.load(str(folder), adapters=[adapter], image_encoder=models / "image_encoder")
        studio.complete(BASE.replace(images=Image(SHOWN)))

    def test_a_whole_clip_will_do(self, tmp_path: Path) -> None:
        sizes = {"hidden_size": files.SEEN, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
        vision = CLIPVisionConfig(image_size=files.SIDE, patch_size=16, projection_dim=files.WIDTH, **sizes)
        text = CLIPTextConfig(vocab_size=9, projection_dim=files.WIDTH, **sizes)
        model = CLIPModel(
            CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=files.WIDTH)
        ).eval()
        model.half().save_pretrained(tmp_path)
        encoder = Encoder(tmp_path, "base", torch.device("cpu"), torch.float32)
        assert [width_of(tmp_path, kind) for kind in ("base", "plus")] == [files.WIDTH, files.SEEN]
        pixels = encoder._processor(SHOWN, return_tensors="pt").pixel_values
        with torch.no_grad():
            pooled = model.float().vision_model(pixels).pooler_output
            torch.testing.assert_close(encoder.features(SHOWN, "base"), model.visual_projection(pooled))

    def test_the_processor_beside_it_is_used(self, models: Path, folder: Path, tmp_path: Path, seeing) -> None:
        adapter = Path(shutil.copy(models / "base.safetensors", tmp_path))
        place = Path(shutil.copytree(models / "image_encoder", tmp_path / "image_encoder"))
        square = {"height": files.SIDE, "width": files.SIDE}
        settings = {"image_processor_type": "CLIPImageProcessor", "size": square, "crop_size": square}
        (place / "preprocessor_config.json").write_text(
            json.dumps(settings | {"image_mean": [0.5] * 3, "image_std": [0.5] * 3})
        )
        studio, recipe = negativa.load(str(folder), adapters=[adapter]), BASE.replace(images=Image(SHOWN), steps=1)
        assert not torch.equal(studio.generate(recipe).latents, seeing.generate(recipe).latents)


class TestNoImage:
    @pytest.mark.parametrize("kind", files.PROJECTIONS)
    def test_every_kind_of_it(self, seeing, tmp_path: Path, kind: str) -> None:
        SHOWN.save(tmp_path / "a.png")
        OTHER.save(tmp_path / "b.png")
        recipe = BASE.replace(negative=Negative(Image(OTHER, kind)), steps=1)
        names = ("trained", "zeros", "gray", "black", "noise", str(tmp_path))
        made = {name: seeing.generate(recipe.replace(no_image=name)).latents for name in names}
        usual = "zeros" if kind == "base" else "gray"
        assert torch.equal(made["trained"], made.pop(usual))
        assert all(not torch.equal(a, b) for i, a in enumerate(made.values()) for b in list(made.values())[:i])

    def test_a_folder_is_the_mean_of_what_is_seen(self, seeing, tmp_path: Path) -> None:
        adapters = seeing.denoiser.adapters
        SHOWN.save(tmp_path / "a.png")
        OTHER.save(tmp_path / "b.jpg", quality=100)
        (tmp_path / "c.png").mkdir()
        encoder = next(iter(adapters._encoders.values()))
        mean = (encoder.features(SHOWN, "base") + encoder.features(upright(tmp_path / "b.jpg"), "base")) / 2
        torch.testing.assert_close(encoder.blank(str(tmp_path), "base"), mean)

    @pytest.mark.parametrize(
        ("kind", "words"), [("grey", "did you mean 'gray'.*or a folder"), ("EMPTY", "there is no picture in")]
    )
    def test_what_it_cannot_be(self, seeing, tmp_path: Path, kind: str, words: str) -> None:
        with pytest.raises(InputError, match=words):
            seeing.complete(BASE.replace(negative=Image(SHOWN), no_image=kind.replace("EMPTY", str(tmp_path))))
