"""The recipe of terrarium's weights: every part trains, can be interrupted, and ends in a folder that loads."""

from __future__ import annotations

import copy
import itertools
import resource
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel
from PIL import Image
from safetensors.torch import load_file
from torch import nn
from transformers import CLIPImageProcessor, CLIPModel, CLIPTokenizer

import negativa
from negativa import InputError, OutputError
from negativa.denoisers.checkpoints import BUILT_IN
from negativa.terrarium import ATTRIBUTES, paint
from negativa.terrarium.reader import to_tensor
from negativa.training import adapter, clip, data, diffusion, earlier, reader, tokenizer, vae
from negativa.training.denoising import denoising
from negativa.training.examples import Examples
from negativa.training.loop import train
from negativa.training.terrarium import Settings, run


@pytest.fixture(scope="module")
def recipe_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the whole recipe was run for a step or two."""
    folder = tmp_path_factory.mktemp("training")
    list(run(few_steps(folder)))
    return folder


def few_steps(folder: Path) -> Settings:
    return Settings(
        folder,
        pictures=40,
        vae_steps=2,
        decoder_steps=2,
        reader_steps=2,
        words_steps=2,
        clip_steps=2,
        diffusion_steps=3,
        adapter_steps=2,
        token_steps=2,
    )


def test_no_room_for_what_is_painted_leaves_nothing(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(OutputError, match=r"folder: .* could not be written"):
            list(run(few_steps(tmp_path)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [file.name for file in tmp_path.iterdir()] == ["begun.json"]


def test_the_whole_recipe_in_a_few_steps(tmp_path: Path) -> None:
    settings = few_steps(tmp_path)
    seen = [(now.part, now.step, now.steps) for now in run(settings)]
    parts = {
        "painting": 40,
        "vae": 2,
        "encoding": 36,
        "decoder": 2,
        "reader": 2,
        "words": 2,
        "clip": 2,
        "diffusion": 3,
        "base": 2,
        "plus imitating": 2,
        "plus": 2,
        "tokens neon": 2,
        "tokens wrong": 2,
    }
    assert {part: (step, steps) for part, step, steps in seen} == {part: (steps, steps) for part, steps in parts.items()}
    assert list(dict.fromkeys(part for part, _, _ in seen)) == list(parts)
    studio = negativa.load(str(tmp_path / "terrarium"))
    result = studio.generate(negativa.Recipe("portrait of a man", "mustache", steps=2))
    assert result.image.size == (128, 128)
    assert list(run(settings)) == []  # all there: nothing is trained again
    with pytest.raises(InputError, match="was begun with"):
        list(run(replace(settings, seed=1)))


def test_no_room_for_the_finished_terrarium_leaves_the_earlier_one(recipe_folder: Path) -> None:
    def held() -> dict[Path, bytes]:
        return {file: file.read_bytes() for file in (recipe_folder / "terrarium").rglob("*") if file.is_file()}

    before, limits = held(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, limits[1]))
    try:
        with pytest.raises(OutputError, match=r"folder: .*terrarium' could not be written"):
            list(run(few_steps(recipe_folder)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert held() == before and not list(recipe_folder.glob(".negativa-*"))


def test_it_stops_after_a_part_and_goes_on_from_there(tmp_path: Path) -> None:
    settings = replace(few_steps(tmp_path), pictures=10)
    assert {now.part for now in run(replace(settings, until="vae"))} == {"painting", "vae", "encoding"}
    assert not (tmp_path / "terrarium").exists()
    assert {now.part for now in run(replace(settings, until="reader"))} == {"decoder", "reader"}


def test_it_begins_as_an_earlier_terrarium(recipe_folder: Path, tmp_path: Path) -> None:
    settings = replace(few_steps(tmp_path), pictures=10, start=recipe_folder / "terrarium", until="diffusion")
    assert [now.part for now in run(settings)][-1] == "diffusion"
    learned = torch.load(tmp_path / "vae.pt", weights_only=True)["module"]
    before = AutoencoderKL.from_pretrained(recipe_folder / "terrarium" / "vae", torch_dtype=torch.float32).state_dict()
    assert max(float((learned[name] - value).abs().max()) for name, value in before.items()) < 1e-3  # two small steps from it
    with pytest.raises(InputError, match="was begun with start"):
        list(run(replace(settings, start=None)))


def test_an_earlier_terrarium_is_trained_on_from_a_part(recipe_folder: Path, tmp_path: Path) -> None:
    before, after = recipe_folder / "terrarium", tmp_path / "terrarium"
    settings = replace(few_steps(tmp_path), start=before, first="plus")
    assert list(dict.fromkeys(now.part for now in run(settings))) == [
        "painting",
        "encoding",
        "plus",
        "tokens neon",
        "tokens wrong",
    ]

    def moved(name: str, now: dict[str, torch.Tensor] | None = None) -> float:
        old = load_file(before / f"{name}.safetensors")
        new = now or load_file(after / f"{name}.safetensors")
        assert old.keys() == new.keys()
        return max(float((new[key].float() - value.float()).abs().max()) for key, value in old.items())

    unet = "unet/diffusion_pytorch_model"
    for kept in ("vae/diffusion_pytorch_model", "text_encoder/model", "clip/model", "reader/model", unet, "ip_adapter/base"):
        assert moved(kept) == 0, kept
    assert 0 < moved("ip_adapter/plus") < 1e-3
    scales = [AutoencoderKL.load_config(folder / "vae")["scaling_factor"] for folder in (before, after)]
    assert scales[0] == scales[1]

    again = replace(settings, folder=tmp_path / "again", first="diffusion", until="diffusion")
    assert [now.part for now in run(again)][-1] == "diffusion"
    learned = torch.load(tmp_path / "again" / "diffusion.pt", weights_only=True)["module"]
    assert 0 < moved(unet, learned) < 1e-3


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"first": "diffusion"}, "first: .* without start"),
        ({"first": "clip", "start": BUILT_IN["terrarium"]}, "first: 'clip' .* allowed: diffusion"),
        (
            {"first": "plus", "start": BUILT_IN["terrarium"], "until": "vae"},
            "until: 'vae' .* comes before 'plus'; allowed: plus, tokens",
        ),
        ({"first": "plus", "start": BUILT_IN["terrarium"] / "clip"}, "start: .* lacks 'vae/config.json'"),
        ({"until": "unet"}, "until: 'unet' was given"),
    ],
)
def test_a_part_to_begin_or_end_with_needs_what_comes_before(fields: dict, said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=said):
        list(run(replace(few_steps(tmp_path), **fields)))
    assert not list(tmp_path.iterdir())


def test_an_earlier_terrarium_without_its_words_is_refused_before_the_work(tmp_path: Path) -> None:
    for part in ("vae", "unet"):
        (tmp_path / "start" / part).mkdir(parents=True)
        (tmp_path / "start" / part / "config.json").write_text("{}")
    with pytest.raises(InputError, match=r"start: .* lacks 'text_encoder/config\.json'; allowed: the folder of a whole"):
        list(run(replace(few_steps(tmp_path / "run"), start=tmp_path / "start")))
    assert not (tmp_path / "run").exists()


@torch.no_grad()
def test_more_latent_channels_change_nothing_at_first() -> None:
    after = vae.build().eval()
    before = AutoencoderKL.from_config({**after.config, "latent_channels": 4}).eval()
    earlier.grow_autoencoder(after, before)
    pixels = torch.rand(2, 3, 32, 32) * 2 - 1
    old, new = (one.encode(pixels).latent_dist for one in (before, after))
    assert torch.equal(new.mean[:, :4], old.mean) and torch.equal(new.logvar[:, :4], old.logvar)
    assert torch.allclose(after.decode(new.mean).sample, before.decode(old.mean).sample, atol=1e-5)

    means, pictures = after.encode(pixels).latent_dist.mean, after.decode(new.mean).sample
    balanced = vae.balance(after, means, 4)
    assert torch.allclose(balanced[:, 4:].std((0, 2, 3)), vae.LATER * balanced[:, :4].std((0, 2, 3)).mean(), atol=1e-5)
    changed = after.encode(pixels).latent_dist
    assert torch.allclose(changed.mean, balanced, atol=1e-5) and torch.equal(changed.mean[:, :4], old.mean)
    assert torch.allclose(
        changed.std / balanced.std((0, 2, 3)).view(1, 8, 1, 1), new.std / means.std((0, 2, 3)).view(1, 8, 1, 1)
    )
    assert torch.allclose(after.decode(balanced).sample, pictures, atol=1e-5)

    larger = diffusion.build().eval()
    shape = {"in_channels": 4, "out_channels": 4, "cross_attention_dim": 128}
    smaller = UNet2DConditionModel.from_config({**larger.config, **shape}).eval()
    translation = torch.randn(clip.WIDTH, 128) / 14
    earlier.grow_unet(larger, smaller, translation)
    latents, states, times = torch.randn(2, 8, 16, 16), torch.randn(2, 77, clip.WIDTH), torch.tensor([5, 700])
    predicted = larger(latents, times, states).sample
    expected = smaller(latents[:, :4], times, states @ translation).sample
    assert torch.allclose(predicted[:, :4], expected, atol=1e-4) and not predicted[:, 4:].any()


@torch.no_grad()
def test_the_words_of_one_encoder_are_translated_to_those_of_another() -> None:
    captions = ["a man", "a man with a hat", "a house, lawn", "portrait of a woman"] * 4
    words = tokenizer.learn(captions)
    encoder = clip.build(words).text_model.eval()
    rotated = copy.deepcopy(encoder)
    turn = torch.linalg.qr(torch.randn(clip.WIDTH, clip.WIDTH))[0]
    rotated.final_layer_norm.register_forward_hook(lambda *given: given[2] @ turn)
    found = earlier.translated((encoder, words), (rotated, words), [*captions, "a hat", "a woman, house"])
    states = encoder(tokenizer.tokens(words, ["a man, lawn"])).last_hidden_state
    assert torch.allclose(states @ found, states @ turn, atol=1e-2)


@pytest.mark.parametrize("kind", ["base", "plus"])
def test_diffusers_reads_what_was_trained(recipe_folder: Path, kind: str) -> None:
    folder = recipe_folder / "terrarium"
    pipeline = StableDiffusionPipeline.from_pretrained(folder, torch_dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.register_modules(feature_extractor=CLIPImageProcessor.from_pretrained(folder / "clip"))
    tokens = folder / "tokens"
    pipeline.load_textual_inversion(tokens / "neon.safetensors")
    pipeline.load_textual_inversion(tokens / "wrong.safetensors", token="<wrong>")
    assert len(pipeline.tokenizer.tokenize(pipeline.maybe_convert_prompt("a <neon> <wrong>", pipeline.tokenizer))) == 4
    pipeline.load_ip_adapter(
        str(folder), subfolder="ip_adapter", weight_name=f"{kind}.safetensors", image_encoder_folder="./clip"
    )

    def drawn(picture: Image.Image) -> np.ndarray:
        noise = torch.Generator().manual_seed(0)
        return np.asarray(
            pipeline("", ip_adapter_image=picture, num_inference_steps=2, generator=noise, output_type="np").images[0]
        )

    first, second = (paint(np.random.default_rng(seed))[0] for seed in (1, 2))
    assert np.abs(drawn(first) - drawn(second)).max() > 0  # the picture that is shown reaches the network


def test_transformers_reads_clip(recipe_folder: Path) -> None:
    folder = recipe_folder / "terrarium"
    clip, words = CLIPModel.from_pretrained(folder / "clip"), CLIPTokenizer.from_pretrained(folder / "clip")
    text = StableDiffusionPipeline.from_pretrained(folder).text_encoder
    given = words(["a hat"], padding="max_length", return_tensors="pt").input_ids
    with torch.no_grad():
        assert torch.equal(clip.text_model(given).last_hidden_state, text(given).last_hidden_state)


def test_plus_learns_to_say_what_base_says_and_nothing_else_learns() -> None:
    weights = BUILT_IN["terrarium"]
    unet = UNet2DConditionModel.from_pretrained(weights / "unet", torch_dtype=torch.float32)
    vision = clip.vision(CLIPModel.from_pretrained(weights / "clip", torch_dtype=torch.float32))
    base = load_file(weights / "ip_adapter" / "base.safetensors")
    adapter.attach(unet, "base", clip.WIDTH, base)
    said = adapter.projection(unet)
    torch.manual_seed(0)
    adapter.attach(unet, "plus", clip.WIDTH, {name: value for name, value in base.items() if name.startswith("ip_adapter.")})
    plus = adapter.projection(unet)
    pictures = np.stack([np.asarray(paint(np.random.default_rng(i))[0]) for i in range(16)])
    optimiser, losses = torch.optim.AdamW(plus.parameters(), 1e-3), []
    for _ in range(12):
        optimiser.zero_grad()
        loss = adapter.imitation(plus, said, vision, pictures, np.random.default_rng(0))
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.7 * losses[0]
    assert all(weight.grad is None for module in (vision, said) for weight in module.parameters())
    for name, value in adapter.checkpoint(unet).items():
        if name.startswith("ip_adapter."):
            assert torch.equal(value, base[name].float())


def test_noisier_timesteps_are_like_the_largest_of_several() -> None:
    latents, signal = torch.zeros(1, 1, 1, 1), torch.linspace(0.99, 0.01, 1000)
    rows, rng = np.zeros(4000, int), np.random.default_rng(0)
    even, noisier = (denoising(latents, signal, rng, rows, noisier=most).timesteps.float() / 1000 for most in (1, 2))
    for share in (0.2, 0.5, 0.9):  # of even ones, this share is below it; of the largest of two, its square
        assert float((even < share).float().mean()) == pytest.approx(share, abs=0.01)
        assert float((noisier < share).float().mean()) == pytest.approx(share**2, abs=0.01)


def test_what_is_rare_is_shown_more_often_and_named_then() -> None:
    truths = np.zeros((900, len(ATTRIBUTES)), bool)
    portrait, photo, freckles, hat = (ATTRIBUTES.index(name) for name in ("portrait", "photo", "freckles", "hat"))
    truths[:, [portrait, photo]] = True
    truths[:9, freckles], truths[:300, hat] = True, True
    shown = Examples(truths)
    rows, texts = zip(*(shown.draw(np.random.default_rng(i), 60) for i in range(20)), strict=True)
    rows, texts = np.concatenate(rows), [text for some in texts for text in some]
    named = [row for row, text in zip(rows, texts, strict=True) if "freckles" in text]
    assert len(texts) == 1200 and len(named) >= 120 and all(row < 9 for row in named)
    assert 0.2 < np.mean(rows < 300) < 0.5


def test_a_calibrated_reader_is_as_sure_as_it_is_right() -> None:
    judge = reader.build().eval()
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (400, 128, 128, 3), dtype=np.uint8)
    truths = rng.random((400, len(ATTRIBUTES))) < 0.2
    before = read_off(judge, pictures)
    reader.calibrate(judge, pictures, truths, torch.device("cpu"))
    after = read_off(judge, pictures)
    assert np.abs(after.mean(0) - truths.mean(0)).max() < 0.03 < np.abs(before.mean(0) - truths.mean(0)).max()


def read_off(judge: nn.Module, pictures: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return judge(to_tensor(pictures)).logits.sigmoid().numpy()


def test_an_interrupted_run_ends_where_an_unbroken_one_does(tmp_path: Path) -> None:
    def loss(module: nn.Module, rng: np.random.Generator, share: float) -> torch.Tensor:
        rows = torch.from_numpy(rng.standard_normal((8, 3)).astype(np.float32))
        return (module(rows) - rows.sum(1, keepdim=True)).square().mean()

    def start(folder: Path):
        torch.manual_seed(0)
        module = nn.Linear(3, 1)
        steps = train("part", module, loss, folder, steps=30, minutes=None, learning_rate=0.1, seed=5)
        return module, steps

    unbroken, steps = start(tmp_path / "one")
    losses = [now.loss for now in steps]
    first, steps = start(tmp_path / "two")
    for now in steps:
        if now.step == 12:
            break
    steps.close()
    second, steps = start(tmp_path / "two")
    later = [now.loss for now in steps]
    assert later == losses[12:]
    assert all(torch.equal(a, b) for a, b in zip(second.parameters(), unbroken.parameters(), strict=True))
    assert not torch.equal(first.weight, second.weight)


def test_minutes_decide_the_steps(tmp_path: Path) -> None:
    module, started = nn.Linear(1, 1), time.monotonic()
    steps = train(
        "part",
        module,
        lambda m, rng, share: m(torch.ones(1, 1)).square().sum(),
        tmp_path,
        steps=1_000_000,
        minutes=0.005,
        learning_rate=0.1,
        seed=0,
    )
    *_, last = steps
    assert last.step == last.steps < 100_000
    assert time.monotonic() - started < 5


def test_a_part_is_taken_up_with_the_length_that_it_was_begun_with(tmp_path: Path) -> None:
    """Also where it is finished; a checkpoint that does not know how long it was to be is taken up."""

    def told(steps: int, minutes: float | None = None, part: str = "part") -> list[int]:
        module = nn.Linear(1, 1)
        given = {"steps": steps, "minutes": minutes, "learning_rate": 0.1, "seed": 0}
        events = train(part, module, lambda m, rng, share: m(torch.ones(1, 1)).square().sum(), tmp_path, **given)
        seen = [now.step for now in itertools.islice(events, 3)]
        events.close()
        return seen

    assert told(5) == [1, 2, 3] and told(5) == [4, 5] and told(5) == []
    assert told(100, 2.0, "timed") == [1, 2, 3] and told(100, 2.0, "timed") == [4, 5, 6]
    for part, given, sentence in (
        ("part", (6, None), "the part 'part' .* was begun with steps 5, now steps 6 was given; allowed: the same, or another"),
        ("part", (5, 2.0), "was begun with steps 5, now minutes 2 was given"),
        ("timed", (100, 3.0), "was begun with minutes 2, now minutes 3 was given"),
        ("timed", (100, None), "was begun with minutes 2, now steps 100 was given"),
    ):
        with pytest.raises(InputError, match=sentence):
            told(*given, part)
    state = torch.load(tmp_path / "part.pt", weights_only=True)
    torch.save({name: value for name, value in state.items() if name != "minutes"}, tmp_path / "part.pt")
    assert told(6) == []


def test_the_tokens_share_their_minutes(tmp_path: Path) -> None:
    settings = replace(few_steps(tmp_path), start=BUILT_IN["terrarium"], first="tokens", minutes=0.002)
    list(run(settings))
    given = [torch.load(tmp_path / f"tokens {name}.pt", weights_only=True)["minutes"] for name in ("neon", "wrong")]
    assert given == pytest.approx([0.001, 0.001])
    assert list(run(settings)) == []  # also with minutes, what is finished is not trained again
    with pytest.raises(InputError, match=r"'tokens neon' .* was begun with minutes 0\.001, now minutes 0\.002"):
        list(run(replace(settings, minutes=0.004)))


def test_pictures_are_painted_once(tmp_path: Path) -> None:
    def painted():
        said = []
        work = data.painted(3, 1, tmp_path)
        while True:
            try:
                said.append(next(work))
            except StopIteration as end:
                return said, *end.value

    said, first, truths = painted()
    silence, again, same = painted()
    assert len(said) == 1 and silence == []
    assert np.array_equal(first, again) and np.array_equal(truths, same)
    _, truth = paint(np.random.default_rng([1, 0]))
    assert data.truth_of(truths[0]) == dict.fromkeys(ATTRIBUTES, False) | truth
