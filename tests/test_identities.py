"""What must not change a picture, does not."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

import negativa
from negativa import InputError, Negative, Recipe
from negativa.plain.passes import POSITIVE
from negativa.plain.samplers import SAMPLERS
from negativa.sampling.walk import walk

BASE = Recipe("portrait of a man", seed=7, steps=6)
CLOSE = 1e-3
LONG = "mustache, glasses, " * 30  # of more than one chunk
MIXED = [
    BASE.replace(negative="mustache"),
    BASE.replace(negative=("mustache", Negative("glasses", 0.5, 0.2, 0.7)), scale=4.0),
    BASE.replace(prompt="a house", seed=1, sampler="dpmpp_2m", steps=4),
    BASE.replace(negative="mustache", window=(0.3, 1.0)),
    BASE.replace(prompt="lawn", seed=2, width=16, height=48),
    BASE.replace(rule="none", sampler="heun"),
    BASE.replace(negative="mustache", nothing="zeros", sampler="dpmpp_sde"),
    BASE.replace(sampler="lcm", scale=2.0, nothing="dropped"),
]


def latents(studio: negativa.Studio, recipe: Recipe) -> torch.Tensor:
    return studio.generate(recipe).latents


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_scale_1_is_the_prompt_alone_at_the_cost_of_one_pass(studio, sampler: str) -> None:
    alone = studio.generate(BASE.replace(rule="none", sampler=sampler))
    scale_1 = studio.generate(BASE.replace(scale=1.0, negative="mustache", sampler=sampler))
    assert torch.equal(alone.latents, scale_1.latents)
    assert scale_1.receipt.rows_asked == alone.receipt.rows_asked
    assert "scale 1" in scale_1.receipt.notices[0]


def test_negative_equal_to_positive_is_the_prompt_alone_at_any_scale(studio) -> None:
    alone = latents(studio, BASE.replace(rule="none"))
    for scale in (0.0, 3.0, 20.0):
        result = studio.generate(BASE.replace(negative=BASE.prompt, scale=scale))
        torch.testing.assert_close(result.latents, alone, rtol=0, atol=1e-5)
        assert result.receipt.rows_run == BASE.steps and result.receipt.rows_asked == 2 * BASE.steps
        assert "cancel" in result.receipt.notices[0]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"negative": Negative("mustache", 0.0)}, "weight is 0"),
        ({"negative": Negative("mustache", start=0.5, stop=0.5)}, "no step of 6"),
        ({"negative": Negative("mustache", start=0.9, stop=1.0)}, "no step of 6"),
        ({"negative": "mustache", "window": (0.4, 0.4)}, "no step of 6"),
        ({"negative": Negative("mustache", stop=0.4), "window": (0.4, 1.0)}, "no step of 6"),
    ],
)
def test_a_negative_that_cannot_act_costs_nothing_and_is_said(studio, change, why: str) -> None:
    without, result = studio.generate(BASE), studio.generate(BASE.replace(**change))
    assert torch.equal(result.latents, without.latents)
    assert result.receipt.rows_asked == without.receipt.rows_asked
    assert "'mustache' has no effect" in result.receipt.notices[0] and why in result.receipt.notices[0]
    assert without.receipt.notices == ()


@pytest.mark.parametrize(
    "change",
    [
        {"negative": Negative(LONG, 0.0)},
        {"negative": Negative(LONG, start=0.5, stop=0.5)},
        {"negative": LONG, "scale": 1.0},
        {"negative": LONG, "rule": "none"},
        {"negative": LONG, "rule": "nag", "knobs": {"push": 0.0}},
    ],
)
def test_a_long_negative_that_never_acts_leaves_the_picture_as_it_is(studio, change) -> None:
    """One that acts makes room for itself in every pass."""
    made = studio.generate(BASE.replace(**change))
    assert torch.equal(made.latents, latents(studio, BASE.replace(**change | {"negative": ()})))
    assert "has no effect" in made.receipt.notices[0]
    assert studio.room(studio.complete(BASE.replace(negative=LONG))) > studio.room(made.receipt.recipe) == 1


def test_a_weaker_model_that_is_the_model_itself_is_said(studio) -> None:
    recipe = BASE.replace(rule="autoguidance", knobs={"share": 1.0}, weaker={"x.safetensors": 0.0})
    made = studio.generate(recipe)
    torch.testing.assert_close(made.latents, latents(studio, BASE.replace(rule="none")), rtol=0, atol=1e-4)
    assert made.receipt.notices == (
        "weaker: the LoRA 'x.safetensors' has weight 0: what is moved away from is this model without it",
        "weaker: it is this model as it is; the rule 'autoguidance' moves away from nothing worse",
    )


def test_rule_none_says_that_it_takes_no_negatives(studio) -> None:
    assert "'none' takes no negatives" in studio.generate(BASE.replace(rule="none", negative="hat")).receipt.notices[0]


def test_merging_changes_no_picture(folder: Path) -> None:
    with_, without = negativa.load(str(folder)), negativa.load(str(folder))
    without.engine.merge = False
    for ours, theirs in zip(with_.generate_many(MIXED), without.generate_many(MIXED), strict=True):
        torch.testing.assert_close(ours.latents, theirs.latents, rtol=0, atol=CLOSE)
    assert with_.engine.rows_run < without.engine.rows_run == without.engine.rows_asked


def test_a_batch_gives_what_each_recipe_gives_alone(studio) -> None:
    found = {result.receipt.recipe: result.latents for result in studio.generate_many(MIXED)}
    for recipe in MIXED:
        together = found[studio.complete(recipe)]
        torch.testing.assert_close(together, latents(studio, recipe), rtol=0, atol=CLOSE)


def test_threads_may_share_a_studio(studio) -> None:
    recipes = [
        Recipe("portrait of a man", "hat", seed, steps=12, rule=rule) for seed in range(3) for rule in ("nag", "cfg", "pag")
    ]
    alone = [studio.generate(recipe).latents for recipe in recipes]
    with ThreadPoolExecutor(len(recipes)) as threads:
        together = list(threads.map(lambda recipe: studio.generate(recipe).latents, recipes))
    for one, other in zip(alone, together, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-3)


@pytest.mark.parametrize(("rule", "sampler"), [("cfg", "euler_a"), ("dng", "euler_a"), ("cfg_pp", "ddim")])
def test_a_sampler_that_is_left_open_suits_the_rule(studio, rule: str, sampler: str) -> None:
    recipe = Recipe("portrait of a man", "hat", seed=3, steps=4, rule=rule)
    made, said = studio.generate(recipe), studio.generate(recipe.replace(sampler=sampler))
    assert made.receipt.recipe == said.receipt.recipe and torch.equal(made.latents, said.latents)


def test_what_is_no_recipe_is_refused_in_a_sentence(studio) -> None:
    for given in ("a man", None, [Recipe("a man")]):
        with pytest.raises(InputError, match=r"recipe: .* was given; allowed: a Recipe"):
            studio.generate(given)
    for given in (Recipe("a man"), None):
        with pytest.raises(InputError, match=r"recipes: .* was given; allowed: several"):
            list(studio.generate_many(given))
    with pytest.raises(InputError, match="model: 3 was given"):
        negativa.load(3)  # pyright: ignore[reportArgumentType]
    with pytest.raises(InputError, match="the text is not JSON"):
        Recipe.from_json(None)  # pyright: ignore[reportArgumentType]


def test_reproducible_is_bit_for_bit_in_any_company_and_order(folder: Path) -> None:
    studio = negativa.load(str(folder), reproducible=True)
    alone = {studio.complete(recipe): studio.generate(recipe) for recipe in MIXED}
    for order in (MIXED, MIXED[::-1], MIXED * 3):
        for result in studio.generate_many(order):
            expected = alone[result.receipt.recipe]
            assert torch.equal(result.latents, expected.latents)
            assert result.image.tobytes() == expected.image.tobytes()
            assert result.receipt.latents_hash == expected.receipt.latents_hash


def test_a_sweep_of_windows_shares_what_comes_before_the_window(studio) -> None:
    windows = [(start / 6, 1.0) for start in range(6)]
    results = list(studio.generate_many([BASE.replace(negative="hat", window=window) for window in windows]))
    asked = sum(result.receipt.rows_asked for result in results)
    run = sum(result.receipt.rows_run for result in results)
    assert asked == 6 * 6 * 2
    path = 5 * 2  # the prompt and nothing, until the last walk has left the shared path
    leaving = 6 + 1  # at its first step inside a walk adds its negative; the last has no path to take the prompt from
    own = sum(2 * (5 - start) for start in range(6))
    assert run == path + leaving + own


def test_the_three_nothings_are_three_pictures(studio) -> None:
    pictures = [latents(studio, BASE.replace(nothing=kind, scale=20.0)) for kind in ("empty", "zeros", "dropped")]
    for i in range(3):
        assert not torch.allclose(pictures[i], pictures[i - 1], atol=1e-4)


def test_a_sampler_is_what_its_name_says_whatever_the_models_scheduler_has() -> None:
    plain, karras = (negativa.load("exact") for _ in range(2))
    karras.denoiser.scheduler = {
        **plain.denoiser.scheduler,
        "use_karras_sigmas": True,
        "algorithm_type": "sde-dpmsolver++",
    }
    for sampler in SAMPLERS:
        one, other = (latents(each, Recipe("north", "south", seed=7, steps=6, sampler=sampler)) for each in (plain, karras))
        assert torch.equal(one, other), sampler


def test_noise_is_the_seeds_alone(studio) -> None:
    first = latents(studio, BASE)
    torch.manual_seed(99)
    torch.randn(10)
    for sampler in SAMPLERS:
        one, two = (latents(studio, BASE.replace(sampler=sampler)) for _ in range(2))
        assert torch.equal(one, two), sampler
    assert torch.equal(first, latents(studio, BASE))
    assert not torch.allclose(first, latents(studio, BASE.replace(seed=8)), atol=1e-2)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_pictures_side_by_side_keep_their_samplers_apart(studio, sampler: str) -> None:
    recipes = [BASE.replace(sampler=sampler, seed=seed) for seed in (7, 8, 9)]
    for result in studio.generate_many(recipes):
        alone = latents(studio, recipes[result.index])
        torch.testing.assert_close(result.latents, alone, rtol=0, atol=1e-3)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_windows_and_memory_count_steps_whatever_the_sampler(studio, sampler: str) -> None:
    recipe = studio.complete(BASE.replace(negative=Negative("hat", start=0.5), sampler=sampler))
    running = walk(recipe, studio.denoiser.shape(32, 32), studio.denoiser.scheduler)
    ask, seen = next(running), []
    while True:
        seen.append((ask.moment.step, ask.moment.evaluation, "negative 0" in ask.passes))
        try:
            ask = running.send({name: torch.zeros_like(ask.latents) for name in ask.passes})
        except StopIteration:
            break
    twice = SAMPLERS[sampler].evaluations == 2
    assert len(seen) == (11 if twice else 6)
    assert [step for step, evaluation, _ in seen if evaluation == 0] == list(range(6))
    assert all(acts == (step >= 3) for step, _, acts in seen)


def test_a_rule_remembers_once_a_step(studio, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = []

    class Counting:
        space = "any"

        def passes(self, moment):
            return (POSITIVE,)

        def combine(self, predictions, moment, memory):
            counts.append((moment.step, moment.evaluation, memory.get("count", 0)))
            memory["count"] = memory.get("count", 0) + 1
            return predictions[POSITIVE]

    monkeypatch.setattr("negativa.sampling.walk.build", lambda recipe: Counting())
    list(studio.engine.run([(0, walk(studio.complete(BASE.replace(sampler="heun")), (4, 16, 16), studio.denoiser.scheduler))]))
    for step, evaluation, count in counts:
        assert count == step + evaluation  # the second evaluation sees its step's own memory; what it adds is dropped
