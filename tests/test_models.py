"""Models: read from folders and single files of the true format, refused in a sentence when they cannot be."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import EDMEulerScheduler, StableDiffusionPipeline, UNet2DConditionModel
from safetensors.torch import load_file, save_file

import negativa
from negativa import InputError, ModelError, Recipe
from negativa.denoisers.unet import UNetDiffusion
from tests.conftest import tiny_pipeline, tiny_vae
from tests.original_layout import write_single_file

RECIPE = Recipe("portrait of a man", "mustache", steps=3)


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def test_a_single_file_draws_what_its_folder_draws(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "tiny.safetensors"
    write_single_file(StableDiffusionPipeline.from_pretrained(folder), path)
    single, whole = negativa.load(str(path), config=str(folder)), negativa.load(str(folder))
    torch.testing.assert_close(single.generate(RECIPE).latents, whole.generate(RECIPE).latents, rtol=0, atol=1e-5)
    assert single.generate(RECIPE).receipt.recipe.model == str(path)


@pytest.mark.parametrize("marks", [("v_pred",), ("v_pred", "ztsnr")])
@pytest.mark.parametrize("left_out", [(), ("prediction_type", "rescale_betas_zero_snr", "steps_offset")])
def test_a_single_file_is_read_as_its_marks_say(
    copy: Path, tmp_path: Path, marks: tuple[str, ...], left_out: tuple[str, ...]
) -> None:
    path, config = tmp_path / "tiny.safetensors", copy / "scheduler" / "scheduler_config.json"
    write_single_file(StableDiffusionPipeline.from_pretrained(copy), path)
    save_file(load_file(path) | {mark: torch.zeros(0) for mark in marks}, path)
    given = json.loads(config.read_text())
    config.write_text(json.dumps({field: value for field, value in given.items() if field not in left_out}))  # as published
    single = negativa.load(str(path), config=str(copy)).generate(RECIPE).latents
    before = negativa.load(str(copy)).generate(RECIPE).latents
    said = {"prediction_type": "v_prediction", "rescale_betas_zero_snr": "ztsnr" in marks}
    config.write_text(json.dumps(json.loads(config.read_text()) | said))
    torch.testing.assert_close(single, negativa.load(str(copy)).generate(RECIPE).latents, rtol=0, atol=1e-4)
    assert (single - before).abs().max() > 0.1


@pytest.mark.parametrize("left_out", ["clip_sample", "steps_offset"])
def test_what_a_schedule_leaves_out_is_as_in_diffusers_pipeline(copy: Path, left_out: str) -> None:
    config = copy / "scheduler" / "scheduler_config.json"
    given = json.loads(config.read_text())
    config.write_text(json.dumps({field: value for field, value in given.items() if field != left_out}))
    pipeline = StableDiffusionPipeline.from_pretrained(copy)
    pipeline.set_progress_bar_config(disable=True)
    theirs = pipeline(
        RECIPE.prompt,
        negative_prompt="mustache",
        num_inference_steps=3,
        guidance_scale=7.5,
        generator=torch.Generator().manual_seed(0),
        output_type="latent",
    ).images[0]
    ours = negativa.load(str(copy)).generate(RECIPE.replace(sampler="ddim", scale=7.5)).latents
    torch.testing.assert_close(ours, theirs, rtol=0, atol=2e-5 * float(theirs.std()))


def test_a_single_file_on_a_schedule_we_do_not_have_is_refused(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "cosxl.safetensors"
    write_single_file(StableDiffusionPipeline.from_pretrained(folder), path)
    save_file(load_file(path) | {"edm_vpred.sigma_max": torch.tensor(120.0)}, path)
    with pytest.raises(ModelError, match=r"'edm_vpred.sigma_max' says that it was trained on EDM's schedule; allowed: Stable"):
        negativa.load(str(path), config=str(folder))


def test_a_folder_on_a_schedule_we_do_not_have_is_refused(copy: Path) -> None:
    EDMEulerScheduler(sigma_max=120.0, prediction_type="v_prediction").save_pretrained(copy / "scheduler")
    with pytest.raises(ModelError, match="its scheduler says that it was trained on EDM's schedule; allowed: Stable"):
        negativa.load(str(copy))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda config: (config / "tokenizer" / "tokenizer.json").unlink(), "its tokenizer has no vocabulary"),
        (lambda config: shutil.rmtree(config / "tokenizer"), "its tokenizer has no vocabulary"),
        (lambda config: (config / "scheduler" / "scheduler_config.json").write_text("{}"), "its scheduler has no schedule"),
    ],
)
def test_what_describes_a_single_file_is_checked_like_a_folder(copy: Path, tmp_path: Path, change, words: str) -> None:
    path = tmp_path / "tiny.safetensors"
    write_single_file(StableDiffusionPipeline.from_pretrained(copy), path)
    change(copy)
    with pytest.raises(ModelError, match=f"'{path}' could not be read: {words}"):
        negativa.load(str(path), config=str(copy))


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["model.diffusion_model.joint_blocks.0.x"], "it is a single file of Stable Diffusion 3; allowed: a diffusers folder"),
        (["double_blocks.0.x"], "it is a single file of Flux.1; allowed: a diffusers folder of it"),
        (["lora_unet_double_blocks_0.lora_down.weight"], r"it is a LoRA, which changes a model \(--lora\); allowed: Stable"),
        (["x"], "it has no weights model.diffusion_model"),
    ],
)
def test_a_single_file_of_something_else_is_said(tmp_path: Path, names: list[str], words: str) -> None:
    save_file({name: torch.zeros(1) for name in names}, path := tmp_path / "x.safetensors")
    with pytest.raises(ModelError, match=words):
        negativa.load(str(path))


def test_a_single_file_that_lacks_weights_is_refused(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "tiny.safetensors"
    write_single_file(StableDiffusionPipeline.from_pretrained(folder), path)
    save_file({name: value for name, value in load_file(path).items() if ".out.2." not in name}, path)
    with pytest.raises(ModelError, match="it lacks weights of its networks; allowed"):
        negativa.load(str(path), config=str(folder))


@pytest.mark.parametrize(
    "told", [{"time_cond_proj_dim": 8}, {"class_embed_type": "projection", "projection_class_embeddings_input_dim": 8}]
)
def test_a_network_that_must_be_told_more_is_refused(copy: Path, told: dict) -> None:
    unet = UNet2DConditionModel.from_pretrained(copy / "unet")
    UNet2DConditionModel.from_config({**unet.config, **told}).save_pretrained(copy / "unet")
    with pytest.raises(ModelError, match="are not those of text-to-image Stable Diffusion"):
        negativa.load(str(copy))


def test_a_text_encoder_that_lacks_weights_is_refused(copy: Path) -> None:
    (file,) = (copy / "text_encoder").glob("*.safetensors")
    weights = load_file(file)
    save_file({name: value for name, value in weights.items() if "fc1" not in name}, file, {"format": "pt"})
    with pytest.raises(ModelError, match=r"its text_encoder lacks \d+ weights, the first '.*fc1"):
        negativa.load(str(copy))


def test_a_hub_id_is_read_from_the_hubs_cache(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def snapshot(name: str, allow_patterns: list[str], ignore_patterns: list[str]) -> str:
        asked.append((name, allow_patterns))
        return str(folder)

    monkeypatch.setattr("negativa.denoisers.checkpoints.snapshot_download", snapshot)
    result = negativa.load("someone/tiny-model").generate(RECIPE)
    assert result.receipt.recipe.model == "someone/tiny-model"
    ((name, patterns),) = asked
    assert "text_encoder_2/*.safetensors" in patterns
    assert name == "someone/tiny-model" and not any(pattern.endswith((".bin", ".ckpt", "*")) for pattern in patterns)


def test_a_hub_that_cannot_be_reached_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match="'someone/absent' is no folder here and could not be fetched"):
        negativa.load("someone/absent")


def test_a_name_that_ends_like_a_file_is_never_asked_of_the_hub() -> None:
    with pytest.raises(ModelError, match=r"model: there is no 'models/absent\.safetensors'"):
        negativa.load("models/absent.safetensors")


def test_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(ModelError, match="'terarium'; did you mean 'terrarium'"):
        negativa.load("terarium")


def test_what_is_no_pipeline(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is no diffusers folder"):
        negativa.load(str(tmp_path))
    (tmp_path / "model_index.json").write_text(
        json.dumps({"_class_name": "PixArtAlphaPipeline", "vae": ["diffusers", "AutoencoderKL"]})
    )
    with pytest.raises(ModelError, match=r"PixArtAlphaPipeline.*Stable Diffusion 1\.x, 2\.x or 3"):
        negativa.load(str(tmp_path))
    (tmp_path / "model_index.json").write_text("[]")
    with pytest.raises(ModelError, match="no diffusers folder"):
        negativa.load(str(tmp_path))


@pytest.mark.parametrize("shift", [None, 0.7])
def test_latents_and_pixels_are_those_of_the_autoencoder_scaled(folder: Path, tmp_path: Path, shift: float | None) -> None:
    """Latents are (z - shift) * scale, as in Stable Diffusion 3's and Flux's pipelines; z is the mean of what is encoded."""
    shutil.copytree(folder, tmp_path / "model")
    vae = tiny_vae(scaling_factor=0.3) if shift is None else tiny_vae(scaling_factor=0.3, shift_factor=shift)
    vae.save_pretrained(tmp_path / "model" / "vae")
    denoiser = negativa.load(str(tmp_path / "model"), device="cpu").denoiser
    assert isinstance(denoiser, UNetDiffusion)
    pixels = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        z = vae.encode(pixels).latent_dist.mean
        restored = vae.decode(z).sample
    latents = denoiser.to_latents(pixels)
    torch.testing.assert_close(latents, (z - (shift or 0)) * 0.3)
    torch.testing.assert_close(denoiser.to_pixels(latents), restored)
    drawn = np.stack([np.asarray(one, float) for one in denoiser.decode(list(latents))])
    assert np.abs(drawn - ((restored.clamp(-1, 1) + 1) * 127.5).permute(0, 2, 3, 1).numpy()).max() < 0.51
    latents.requires_grad_()
    denoiser.to_pixels(latents).sum().backward()
    assert latents.grad is not None and latents.grad.any()


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder"])
def test_a_truncated_file(copy: Path, part: str) -> None:
    (file,) = (copy / part).glob("*.safetensors")
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(ModelError, match="could not be read"):
        negativa.load(str(copy))


@pytest.mark.parametrize("part", ["unet", "text_encoder"])
def test_weights_of_another_shape(copy: Path, part: str) -> None:
    config = copy / part / "config.json"
    values = json.loads(config.read_text())
    values |= {"block_out_channels": [8, 24]} if part == "unet" else {"intermediate_size": 64}
    config.write_text(json.dumps(values))
    with pytest.raises(ModelError, match="could not be read"):
        negativa.load(str(copy))


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", "\x00"])
@pytest.mark.parametrize(
    "file", ["tokenizer/tokenizer.json", "scheduler/scheduler_config.json", "unet/config.json", "text_encoder/config.json"]
)
def test_a_damaged_part(copy: Path, file: str, text: str) -> None:
    (copy / file).write_text(text)
    try:
        studio = negativa.load(str(copy))
    except ModelError as error:
        assert str(copy) in str(error)
    else:  # an empty object is a whole configuration to transformers: all defaults
        assert text == "{}", studio


def test_an_inpainting_model_is_refused(tmp_path: Path) -> None:
    pipeline = tiny_pipeline("epsilon", channels=9)
    pipeline.save_pretrained(tmp_path / "inpainting")
    with pytest.raises(ModelError, match="not those of text-to-image"):
        negativa.load(str(tmp_path / "inpainting"))


def test_numbers_out_of_range_are_said(folder: Path) -> None:
    result = negativa.load(str(folder), dtype="float16").generate(RECIPE.replace(scale=1000.0, steps=8, sampler="euler"))
    finite = bool(result.latents.isfinite().all())
    assert finite != any("out of range" in notice for notice in result.receipt.notices)


@pytest.mark.parametrize("lost", ["unet", "scheduler/scheduler_config.json", "tokenizer/tokenizer.json", "vae/config.json"])
def test_a_missing_part(copy: Path, lost: str) -> None:
    gone = copy / lost
    shutil.rmtree(gone) if gone.is_dir() else gone.unlink()
    with pytest.raises(ModelError, match=r"unet|could not be read"):
        negativa.load(str(copy))


def test_pickles_are_refused_unread(copy: Path, tmp_path: Path) -> None:
    (file,) = (copy / "unet").glob("*.safetensors")
    file.rename(copy / "unet" / "diffusion_pytorch_model.bin")
    with pytest.raises(ModelError, match="unet only as a pickle"):
        negativa.load(str(copy))
    for name in ("model.ckpt", "model.pt", "model.bin"):
        (tmp_path / name).write_bytes(b"cos\nsystem\n(S'touch pwned'\ntR.")
        with pytest.raises(ModelError, match="a pickle, which can run code"):
            negativa.load(str(tmp_path / name))


def test_a_truncated_single_file(tmp_path: Path, folder: Path) -> None:
    path = tmp_path / "cut.safetensors"
    path.write_bytes(b'\x10\x00\x00\x00\x00\x00\x00\x00{"a":')
    with pytest.raises(ModelError, match="could not be read"):
        negativa.load(str(path), config=str(folder))


def test_device_and_dtype(folder: Path) -> None:
    for device in ("toaster", "meta"):
        with pytest.raises(InputError, match=f"device: '{device}' was given; allowed here: .*cpu"):
            negativa.load(str(folder), device=device)
    with pytest.raises(InputError, match=r"dtype: 'float8'.*float32"):
        negativa.load(str(folder), dtype="float8")
    result = negativa.load(str(folder), device="cpu", dtype="bfloat16").generate(RECIPE)
    assert (result.receipt.device, result.receipt.dtype) == ("cpu", "bfloat16")
    assert result.latents.dtype == torch.float32


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"width": 33}, "width: 33 was given; allowed: multiples of 2"),
        ({"rule": "cfgg"}, "rule: there is no rule 'cfgg'; did you mean 'cfg'"),
        ({"model": "other"}, "model: 'other' was given; this studio has"),
        ({"sampler": "lcm", "steps": 60}, "steps: 60 was given; the sampler 'lcm' says"),
    ],
)
def test_recipes_that_a_studio_cannot_carry_out(studio, change, words: str) -> None:
    with pytest.raises(InputError) as refusal:
        studio.generate_many([RECIPE, RECIPE.replace(**change)]).__next__()
    assert words in str(refusal.value)


def test_what_a_recipe_leaves_open_is_the_models_own(studio) -> None:
    complete = studio.complete(Recipe("portrait of a man"))
    assert (complete.model, complete.scale, complete.width, complete.height) == (studio.denoiser.name, 7.5, 32, 32)
    given = Recipe("portrait of a man", scale=0, width=64, height=32)
    complete = studio.complete(given)
    assert (complete.scale, complete.width, complete.height) == (0, 64, 32)
    assert Recipe.from_json(given.to_json()) == given
    assert negativa.load().complete(Recipe("portrait of a man")).scale < 7.5  # terrarium has one of its own


def test_what_is_cut_from_a_long_prompt_is_said(studio) -> None:
    result = studio.generate(RECIPE.replace(prompt="hat " * 10_000 + "end"))
    (notice,) = result.receipt.notices
    assert notice.startswith("prompt: the text is longer than the model reads; cut: 'hat hat")
    same = studio.generate(RECIPE.replace(prompt="hat " * (16 * 75)))
    assert same.receipt.notices == () and torch.equal(same.latents, result.latents)


def test_texts_are_encoded_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    studio = negativa.load(str(folder))
    encode, seen = studio.denoiser.text_encoder.forward, []
    monkeypatch.setattr(
        studio.denoiser.text_encoder, "forward", lambda ids, **rest: seen.append(len(ids)) or encode(ids, **rest)
    )
    list(studio.generate_many([RECIPE.replace(seed=seed) for seed in range(4)]))
    assert seen == [1, 1]
