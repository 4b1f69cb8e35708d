"""Learned negatives: they begin as none, rise with the reward, pay nothing else for it, and survive interruptions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from typer.testing import CliRunner

import negativa
from negativa import InputError, Recipe
from negativa.apps.cli.main import app
from negativa.denoisers.checkpoints import BUILT_IN
from negativa.denoisers.embeddings import Embedding, read
from negativa.measures.clip import clip
from negativa.sampling.budget import RowBudget
from negativa.terrarium import paint
from negativa.terrarium.reader import to_tensor
from negativa.training import negative
from negativa.training.negative import ClipScore, Flawless, Reward, Settings
from negativa.training.progress import Notice, Progress
from negativa.training.token import Learned, Learner, Pictured
from negativa.training.token.learner import FILLING, readers_of, untrained
from tests.measured import painted, save_clip

STEPS = 6


class Bright(Reward):
    """How bright pictures are."""

    name = "bright"

    def __call__(self, pixels: Tensor, prompts: Sequence[str]) -> Tensor:
        return pixels.mean((1, 2, 3))


class Indifferent(Bright):
    """Wants nothing."""

    def __call__(self, pixels: Tensor, prompts: Sequence[str]) -> Tensor:
        return 0 * super().__call__(pixels, prompts)


class Dear(Bright):
    """Brightness that costs obedience from the first step on."""

    asked = 0

    def obedience(self, images: Sequence[Image.Image], prompts: Sequence[str]) -> float:
        self.asked += 1
        return 1.0 if self.asked == 1 else 0.9


@pytest.fixture
def settings(folder: Path, tmp_path: Path) -> Settings:
    some = {"steps": STEPS, "batch": 2, "walk": 4, "last": 2, "check": 2, "pictures": 4, "learning_rate": 0.5}
    prompts = ("a man", "a cat", "a house", "a dog", "a tree", "a hat")
    return Settings(tmp_path / "negative.safetensors", "<no>", str(folder), prompts, "bright", vectors=2, **some)


def learned(settings: Settings, reward: Reward) -> Learned:
    *_, last = negative.run(settings, reward)
    assert isinstance(last, Learned)
    return last


def same(first: Embedding, second: Embedding) -> bool:
    return all(torch.equal(first.vectors[name], second.vectors[name]) for name in first.vectors)


def test_untrained_it_says_what_no_negative_says() -> None:
    studio = negativa.load()
    learner = Learner(studio.denoiser, "<no>", 3, FILLING)
    recipe = Recipe("portrait of a man", seed=3, steps=4)
    plain, empty = (studio.generate(one).latents for one in (recipe, recipe.replace(negative=learner.written)))
    assert torch.allclose(plain, empty, atol=1e-5)


def test_it_begins_as_what_ends_a_text_and_what_fills_it_up() -> None:
    """Which are one token in Stable Diffusion 1, and two in Stable Diffusion 2."""
    denoiser = negativa.load().denoiser
    (reader,) = readers_of(denoiser)
    reader.tokenizer.pad_token = "hat</w>"
    known, tokens = reader.encoder.get_input_embeddings().weight, reader.tokenizer
    (rows,) = untrained(denoiser, "<no>", 3, FILLING).vectors.values()
    assert tokens.pad_token_id != tokens.eos_token_id
    assert torch.equal(rows, known[[tokens.eos_token_id, tokens.pad_token_id, tokens.pad_token_id]])


def test_pictures_gain_what_is_rewarded(settings: Settings) -> None:
    end = learned(replace(settings, steps=16, check=4, learning_rate=1.0), Bright())
    best, before = map(float, end.about["reward, before"].split(", "))
    assert best > before and end.about["best step"] > 0
    assert not same(end.embedding, end.untrained)
    assert same(read(settings.out), end.embedding)
    studio = negativa.load(settings.model, embeddings=settings.out)
    recipe = Recipe("a bird", seed=5, steps=10, scale=7.5)
    drawn = [np.asarray(studio.generate(one).image).mean() for one in (recipe, recipe.replace(negative="<no>"))]
    assert drawn[1] > drawn[0]


def test_pictures_and_checks_are_told(settings: Settings) -> None:
    events = list(negative.run(settings, Bright()))
    assert [event.step for event in events if isinstance(event, Progress)] == [*range(1, STEPS + 1)]
    pictures = [event for event in events if isinstance(event, Pictured)]
    assert [one.step for one in pictures] == [0, 2, 4]
    first, second = (negativa.read(one.file).recipe for one in pictures[:2])
    assert first.prompt == second.prompt == "a man"  # a prompt that is held out
    assert not first.negative and second.negative[0].text.startswith("<no>"), "the first is what the others are held to"


def test_prompts_of_any_length_are_learned_from_side_by_side(settings: Settings) -> None:
    long = ("a man", "a hat " * 80, "a house BREAK a tree", "a dog", "a cat", "snow, " * 60)
    short = learned(replace(settings, folder=settings.out.with_name("short")), Bright())
    end = learned(replace(settings, prompts=long, overwrite=True), Bright())
    assert not same(end.embedding, short.embedding) and not same(end.embedding, end.untrained)


@pytest.mark.parametrize("stop", [1, 2, 5])
def test_stopped_at_any_step_it_ends_where_an_unbroken_one_does(settings: Settings, tmp_path: Path, stop: int) -> None:
    unbroken = learned(replace(settings, folder=tmp_path / "unbroken", overwrite=True), Bright())
    settings.out.unlink()
    for now in (events := negative.run(settings, Bright())):
        if isinstance(now, Progress) and now.step == stop:
            events.close()
            break
    assert not settings.out.exists()
    assert same(learned(settings, Bright()).embedding, unbroken.embedding)


@pytest.mark.parametrize("reward", [Indifferent, Dear])
def test_what_gains_nothing_or_costs_too_much_is_left(settings: Settings, reward: type[Reward]) -> None:
    *events, end = negative.run(replace(settings, patience=2), reward())
    notices = [event.text for event in events if isinstance(event, Notice)]
    assert notices == [
        "the last 2 checks were no better; learning ends at step 5",
        "nothing better than no negative was found, and the vectors are those that say nothing",
    ]
    assert isinstance(end, Learned) and same(end.embedding, end.untrained) and end.about["best step"] == 0
    again = list(negative.run(replace(settings, patience=2), reward()))
    assert not [event for event in again if isinstance(event, Progress)]  # what has ended takes no further step
    assert [event.text for event in again if isinstance(event, Notice)] == notices


def test_no_check_depends_on_how_long_calls_took(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def timed(*_: object) -> None:
        pytest.fail("a call was timed")

    monkeypatch.setattr(RowBudget, "learn", timed)
    learned(settings, Bright())


def test_terrarium_rewards_pictures_without_flaws() -> None:
    reward, prompts = Flawless("cpu"), ["portrait of a man"]
    clean, blurry = (
        to_tensor(np.stack([np.asarray(painted(i, "portrait", blurry=flaw)) for i in range(6)])) for flaw in (0, 1)
    )
    assert reward(clean, prompts * 6).min() > reward(blurry, prompts * 6).max()
    pictures = [paint(np.random.default_rng(i), "portrait", man=True, photo=True)[0] for i in range(8)]
    assert reward.obedience(pictures, ["a man"] * 8) > 0.9 > 0.1 > reward.obedience(pictures, ["a house"] * 8)


def test_a_clip_rewards_what_its_score_measures(tmp_path: Path) -> None:
    weights = save_clip(tmp_path)
    reward, model = ClipScore(weights, "cpu"), clip(weights)
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8))
    pixels = to_tensor(np.asarray(picture)[None].copy()).requires_grad_()
    value = reward(pixels, ["a picture of a dog"])
    value.sum().backward()
    expected = float(model.images([picture])[0] @ model.texts(["a picture of a dog"])[0])
    assert value.item() == pytest.approx(expected, abs=1e-5)
    assert float(pixels.grad.abs().max()) > 0


def test_a_damaged_clip_is_said(tmp_path: Path) -> None:
    weights = save_clip(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(InputError, match=r"reward: .* cannot be read .*; allowed: a folder or a Hugging Face id of a"):
        ClipScore(weights, "cpu")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"scale": 1.0}, "scale: 1 was given, at which no negative acts"),
        ({"last": 5}, "last: 5 was given; allowed: up to walk, 4"),
        ({"reward": "reader"}, "reward: 'reader' was given, which knows terrarium's pictures"),
        ({"prompts": ("one",)}, "prompts: 1 were given; allowed: two or more"),
        ({"prompts": ("a man AND a cat", "a dog")}, "prompts: 'a man AND a cat' is more than one condition"),
        ({"prompts": ("a dog", "[a man:a cat:0.5]")}, "prompts: .* is more than one condition"),
        ({"token": "no"}, "token: 'no' was given; allowed: letters"),
        ({"vectors": 0}, "vectors: 0 was given; allowed: a whole number from 1 to 32"),
        ({"learning_rate": 0.0}, "learning_rate: 0.0 was given; allowed: above 0"),
        ({"layout": "best"}, "layout: 'best' was given"),
        (
            {"reward": "/nowhere"},
            "reward: '/nowhere' cannot be read .*; allowed: a folder or a Hugging Face id of a CLIP",
        ),
        (
            {"reward": str(BUILT_IN["terrarium"] / "reader")},
            "it is of the family 'resnet'.; allowed: .*, or reader",
        ),
    ],
)
def test_bad_input_gets_a_sentence(settings: Settings, change: dict, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        list(negative.run(replace(settings, **change)))


def test_the_command_ends_with_a_card(settings: Settings, tmp_path: Path) -> None:
    prompts, weights = tmp_path / "prompts.txt", save_clip(tmp_path / "clip")
    prompts.write_text("\n".join(settings.prompts))
    words = ["train", "negative", "--out", str(settings.out), "--model", settings.model, "--steps", "2", "--batch", "2"]
    done = CliRunner().invoke(app, [*words, "--prompts", str(prompts), "--reward", weights, "--check", "1", "--pictures", "2"])
    assert done.exit_code == 0, done.output
    card = settings.out.with_suffix(".md").read_text()
    assert "As a negative: `<negative>`." in card and "In words: " in card and "variety, before" in card
    refused = CliRunner().invoke(app, [*words, "--prompts", str(prompts), "--overwrite"]).exception
    assert isinstance(refused, InputError) and "reward: 'reader' was given" in str(refused)
