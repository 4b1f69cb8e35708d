"""The exact model: closed forms against derivatives, flows and shares written by hand here."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import negativa
from negativa import InputError, Negative, Recipe, Result, Studio
from negativa.apps.cli.main import main
from negativa.denoisers.exact import Exact
from negativa.exact import COMPASS, Judgement, Mixture, judge
from negativa.plain.conditions import Nothing, Words
from negativa.plain.passes import Pass

THREE = Mixture([[2, 0, 1], [-1, 1, 0], [0, -2, 0], [1, 1, 1]], [0.5, 0.8, 0.3, 1.2], [1, 2, 3, 2], ["a", "b", "a", "c"])
# Stable Diffusion's noise, written out: the square roots of beta lie evenly between two ends
KEPT = np.cumprod(1 - np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2)
LEVEL = np.sqrt((1 - KEPT) / KEPT)  # sigma / alpha


def log_density(x: torch.Tensor, components: list[int], alpha: float, sigma: float) -> torch.Tensor:
    """Log of the density of alpha x0 + sigma noise for some of THREE's components, up to a constant."""
    total = torch.zeros((), dtype=torch.float64)
    for k in components:
        mean, variance = torch.tensor(THREE.means[k]).double(), (alpha * THREE.stds[k]) ** 2 + sigma**2
        total = total + THREE.weights[k] * torch.exp(-((x - alpha * mean) ** 2).sum() / (2 * variance)) / variance**1.5
    return total.log()


def points(results: Iterable[Result]) -> np.ndarray:
    return np.array([result.latents.flatten().numpy() for result in results])


def start(seed: int, dimensions: int) -> np.ndarray:
    return torch.randn(dimensions, generator=torch.Generator().manual_seed(seed)).double().numpy()


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "flow_prediction"])
@pytest.mark.parametrize("timestep", [0, 40, 500, 999])
def test_predictions_are_the_gradient_of_the_log_density(prediction: str, timestep: int) -> None:
    asked = {Words("a"): [0, 2], Words(" b,c "): [1, 3], Nothing("empty"): [0, 1, 2, 3], Nothing("zeros"): [0, 1, 2, 3]}
    rows = torch.randn((4, 3, 1, 1), generator=torch.Generator().manual_seed(1))
    alpha, sigma = math.sqrt(KEPT[timestep]), math.sqrt(1 - KEPT[timestep])
    if flow := prediction == "flow_prediction":
        alpha, sigma = 1 - timestep / 1000, timestep / 1000
    predicted = Exact(THREE, prediction=prediction).predict(list(rows), [timestep] * 4, list(map(Pass, asked)))  # type: ignore[arg-type]
    assert predicted.shape == rows.shape and predicted.dtype == torch.float32
    for row, answer, components in zip(rows, predicted, asked.values(), strict=True):
        x = row.flatten().double().requires_grad_()
        (score,) = torch.autograd.grad(log_density(x, components, alpha, sigma), x)
        noise, clean = -sigma * score, (x + sigma**2 * score) / alpha
        wanted = noise - clean if flow else noise if prediction == "epsilon" else alpha * noise - sigma * clean
        torch.testing.assert_close(answer.flatten().double(), wanted.detach(), rtol=1e-4, atol=1e-4)


def test_each_row_has_its_own_noise() -> None:
    row, exact = torch.ones(3, 1, 1), Exact(THREE)
    together = exact.predict([row, row, row], [10, 500.5, 999], [Pass(Words(label)) for label in "aba"])
    alone = [exact.predict([row], [t], [Pass(Words(label))])[0] for t, label in ((10, "a"), (500.5, "b"), (999, "a"))]
    torch.testing.assert_close(together, torch.stack(alone), rtol=0, atol=1e-6)


def test_the_score_without_a_label_is_the_base_minus_the_negative_by_its_odds() -> None:
    x = np.random.default_rng(0).normal(size=(50, 3))
    for alpha, sigma in ((0.999, 0.04), (0.8, 0.6), (0.07, 0.998)):
        base, negative = THREE.noise(x, alpha, sigma), THREE.only("b").noise(x, alpha, sigma)
        share = THREE.share_of("b", x, alpha, sigma)[:, None]
        wanted = base - share / (1 - share) * (negative - base)
        np.testing.assert_allclose(THREE.without("b").noise(x, alpha, sigma), wanted, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("flow", [False, True])
@pytest.mark.parametrize(
    ("negatives", "parts"),
    [
        ([], {"c": 1.0}),
        (["n"], {"c": 2.5, "n": -1.5}),
        ([Negative("n", 0.25), Negative("m", 0.75)], {"c": 2.5, "n": -0.375, "m": -1.125}),
    ],
)
def test_a_guided_flow_of_equal_gaussians_ends_where_the_closed_form_says(
    negatives: list, parts: dict[str, float], flow: bool
) -> None:
    std, means = (1.5 if flow else 12.0), {"c": (3.0, -2.0), "n": (-4.0, 1.0), "m": (0.0, 5.0)}
    mixture = Mixture(list(means.values()), [std] * 3, [1, 1, 1], list(means))
    studio = Studio(Exact(mixture, prediction="flow_prediction")) if flow else negativa.load(mixture)
    middle = sum(part * np.array(means[label]) for label, part in parts.items())
    end = middle + (LEVEL[999] * start(3, 2) - middle) * std / math.hypot(std, LEVEL[999])
    if flow:  # which begins at noise alone, where the level is infinite
        end = middle + start(3, 2) * std
    scale = 2.5 if negatives else 1
    found = studio.generate(Recipe("c", negatives, seed=3, steps=1000, scale=scale, sampler="heun")).latents.flatten()
    np.testing.assert_allclose(found, end, rtol=0, atol=1e-4)


@pytest.mark.parametrize("flow", [False, True])
def test_a_guided_flow_of_unequal_gaussians_ends_where_the_closed_form_says(flow: bool) -> None:
    positive, negative = (0.9, 1.4) if flow else (9.0, 14.0)
    mixture = Mixture([[1.0], [1.0]], [positive, negative], [1, 1], ["c", "n"])
    studio = Studio(Exact(mixture, prediction="flow_prediction")) if flow else negativa.load(mixture)
    shrunk = math.prod((std / math.hypot(std, LEVEL[999])) ** part for std, part in ((positive, 3.0), (negative, -2.0)))
    end = 1 + start(3, 1) * positive**3 / negative**2 if flow else 1 + (LEVEL[999] * start(3, 1) - 1) * shrunk
    found = studio.generate(Recipe("c", "n", seed=3, steps=1000, scale=3, sampler="heun")).latents.flatten()
    np.testing.assert_allclose(found, end, rtol=0, atol=1e-4)


@pytest.mark.parametrize(("sampler", "order"), [("euler", 1), ("heun", 2)])
def test_halving_the_step_shows_the_order_of_a_sampler_on_a_flow(sampler: str, order: int) -> None:
    mean, std, last = 2.0, 1.5, 0.001
    studio = Studio(Exact(Mixture([[mean]], [std], [1], ["all"]), prediction="flow_prediction"))

    def error(steps: int) -> float:
        variance = ((1 - last) * std) ** 2 + last**2
        low = (1 - last) * mean + start(5, 1) * math.sqrt(variance)
        end = mean + (1 - last) * std**2 / variance * (low - (1 - last) * mean)  # the jump to the expected clean point
        found = studio.generate(Recipe("", seed=5, steps=steps, scale=1, sampler=sampler)).latents.flatten()
        return float(np.abs(found.double().numpy() - end).max())

    assert math.log2(error(51) / error(101)) == pytest.approx(order, abs=0.2)


@pytest.mark.parametrize(("sampler", "order"), [("euler", 1), ("ddim", 1), ("heun", 2)])
def test_halving_the_step_shows_the_order_of_a_sampler(sampler: str, order: int) -> None:
    mean, std = 2.0, 1.5
    studio = negativa.load(Mixture([[mean]], [std], [1], ["all"]))

    def error(steps: int) -> float:
        first = (steps - 1) * (1000 // steps) + 1 if sampler == "ddim" else 999  # DDIM starts lower, and ends at timestep 0
        begin = start(5, 1) / math.sqrt(KEPT[first]) if sampler == "ddim" else start(5, 1) * LEVEL[999]
        low = mean + (begin - mean) * math.hypot(std, LEVEL[0]) / math.hypot(std, LEVEL[first])
        # the others jump from the last level to the expected clean point
        end = low * math.sqrt(KEPT[0]) if sampler == "ddim" else mean + (low - mean) * std**2 / (std**2 + LEVEL[0] ** 2)
        found = studio.generate(Recipe("", seed=5, steps=steps, scale=1, sampler=sampler)).latents.flatten()
        return float(np.abs(found.double().numpy() - end).max())

    coarse, fine = (50, 100) if sampler == "ddim" else (51, 101)
    assert math.log2(error(coarse) / error(fine)) == pytest.approx(order, abs=0.2)


def test_samples_have_the_weights_of_what_was_asked() -> None:
    """Shares within three standard errors of 150 draws; the start, which is not quite the noised mixture, is symmetric."""
    mixture = Mixture([[-6, 0], [6, 0], [0, 6], [0, -6]], [0.5] * 4, [1, 1, 3, 3], ["a", "a", "b", "c"])
    studio = negativa.load(mixture)
    asked = {"a": (0.5, 0.5, 0, 0), "b,c": (0, 0, 0.5, 0.5), "": (0.125, 0.125, 0.375, 0.375), "a, c": (0.2, 0.2, 0, 0.6)}
    for prompt, shares in asked.items():
        found = points(studio.generate_many([Recipe(prompt, seed=i, steps=20, scale=1, sampler="heun") for i in range(150)]))
        nearest = ((found[:, None] - np.array(mixture.means)) ** 2).sum(-1).argmin(1)
        np.testing.assert_allclose(np.bincount(nearest, minlength=4) / 150, shares, atol=0.125)
        away = found - np.array(mixture.means)[nearest]
        assert away.std() == pytest.approx(0.5, abs=0.1)  # so few steps end a little narrow


def test_the_empty_prompt_is_all_labels() -> None:
    studio = negativa.load("exact")
    one, other = (studio.generate(Recipe(prompt, "east", steps=9, scale=3)) for prompt in ("", "west,south , north,east"))
    assert torch.equal(one.latents, other.latents)


@pytest.mark.parametrize("sampler", ["euler", "heun", "ddim", "dpmpp_2m", "unipc", "euler_a"])
def test_noise_and_velocity_lead_to_the_same_point(sampler: str) -> None:
    noise, velocity = Studio(Exact(THREE)), Studio(Exact(THREE, prediction="v_prediction"))
    recipe = Recipe("a", "b", seed=2, steps=20, scale=2.5, sampler=sampler)
    torch.testing.assert_close(noise.generate(recipe).latents, velocity.generate(recipe).latents, rtol=1e-3, atol=1e-3)


def test_equal_rows_run_once_and_change_nothing() -> None:
    studio = negativa.load("exact")
    recipes = [Recipe("", "north", seed=4, steps=6, scale=scale, sampler="euler") for scale in (1, 2, 3)]
    together = sorted(studio.generate_many(recipes), key=lambda result: result.index)
    assert studio.engine.rows_asked == 6 + 12 + 12 and studio.engine.rows_run == 30 - 3  # the first step is shared
    for result, recipe in zip(together, recipes, strict=True):
        alone = Studio(Exact(COMPASS, "exact"), reproducible=True, merge=False).generate(recipe)
        torch.testing.assert_close(result.latents, alone.latents, rtol=0, atol=1e-5)


def test_known_ways_to_remove_a_label_get_their_known_figures() -> None:
    """Of four equal modes one goes. Recorded with 4000 points: doing nothing leaves .25 of it; a constant 2 u - n throws 98 %
    off the manifold with a total variation of .509; stronger, all; the exact score ends at variation .003."""
    studio = negativa.load("exact")

    def figures(prompt: str, negative: str | None, scale: float) -> Judgement:
        recipes = [Recipe(prompt, negative, seed=i, steps=50, scale=scale) for i in range(150)]
        return judge(points(studio.generate_many(recipes)), COMPASS, "north")

    nothing, exact = figures("", None, 1), figures("east, south, west", None, 1)
    constant, strong = figures("", "north", 2), figures("", "north", 7.5)
    assert nothing.left == pytest.approx(0.25, abs=0.1) and nothing.variation == pytest.approx(0.25, abs=0.1)
    assert nothing.off < 0.02
    assert exact.left == 0 and exact.variation < 0.1 and exact.off < 0.02
    assert constant.left < 0.1 and constant.variation == pytest.approx(0.5, abs=0.1) and constant.off > 0.95
    assert strong.left == 0 and strong.variation > 0.55 and strong.off == 1


def test_judge_counts_labels_and_distances() -> None:
    means = np.array(COMPASS.means)
    clean = judge(means[1:], COMPASS, "north")
    assert (clean.left, clean.off) == (0, 0) and clean.variation == pytest.approx(0)
    all_four = judge(means, COMPASS, "north")
    assert all_four.left == 0.25 and all_four.variation == pytest.approx(0.25)
    edge = [3 + 3.99 * 0.5, 0], [3 + 4.01 * 0.5, 0]  # east, either side of four standard deviations
    assert judge(edge, COMPASS, "north").off == 0.5
    assert judge(edge, COMPASS, "north").variation == pytest.approx(2 / 3)
    broken = judge([*means[1:], (math.nan, 0), (math.inf, 0), (0, 0)], COMPASS, "west")
    assert broken.off == 0.5


def test_few_of_a_mixtures_own_points_lie_off_it_in_any_dimension() -> None:
    chance = np.random.default_rng(0)
    for dimensions in (1, 2, 20):
        mixture = Mixture(
            np.zeros((1, dimensions)).tolist() + np.full((1, dimensions), 90.0).tolist(), [2, 1], [1, 1], ["a", "b"]
        )
        found = judge(2 * chance.normal(size=(100_000, dimensions)), mixture, "b")
        assert found.off == pytest.approx(math.exp(-8), abs=2.5e-4) and found.variation == found.left == 0


def test_a_mixture_keeps_what_is_asked_and_what_is_left() -> None:
    left = THREE.without("a")
    assert left == THREE.only("b, c") and left.labels == ("b", "c") and left.weights == (0.5, 0.5)
    assert THREE.only("") == THREE and hash(THREE.only("a")) != hash(THREE)
    assert Mixture([[0]], [1], [5], ["x"]) == Mixture([[0.0]], [1.0], [1], ["x"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"stds": [1, 0]}, "stds: 0 was given"),
        ({"weights": [1, -1]}, "weights: -1 was given"),
        ({"means": [[0, 1], [1]]}, "means"),
        ({"means": [[0], [math.nan]]}, "means"),
        ({"means": [0, 1]}, "means"),
        ({"means": [["one"], [2]]}, "means"),
        ({"labels": ["a"]}, "2 means, 2 stds, 2 weights, 1 labels"),
        ({"labels": ["a", "b, c"]}, "labels: 'b, c'"),
        ({"labels": ["a", ""]}, "labels: ''"),
    ],
)
def test_numbers_that_make_no_mixture_are_refused(change: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        Mixture(**{"means": [[0], [1]], "stds": [1, 1], "weights": [1, 1], "labels": ["a", "b"]} | change)


def test_unknown_labels_are_refused_in_a_sentence() -> None:
    studio = negativa.load("exact")
    with pytest.raises(InputError, match=r"no label 'nort'; did you mean 'north'\? allowed: north, east, south, west"):
        studio.generate(Recipe("east, nort", steps=2))
    with pytest.raises(InputError, match="no label 'sooth'; did you mean 'south'"):
        studio.generate(Recipe("east", "sooth", steps=2, scale=2))
    with pytest.raises(InputError, match="at least one"):
        COMPASS.without("")
    with pytest.raises(InputError, match="points"):
        judge([], COMPASS, "north")
    with pytest.raises(InputError, match="width and height: 512 and 256 were given"):
        studio.generate(Recipe(steps=2, width=512))


def test_a_mixture_is_a_model_with_a_name_and_a_plot(tmp_path: Path) -> None:
    studio = negativa.load(THREE)
    result = studio.generate(Recipe("a", steps=5))
    assert result.latents.shape == (3, 1, 1) and result.receipt.model_hash == THREE.hash
    assert result.receipt.recipe.model == f"mixture-{THREE.hash}" and result.image.size == (256, 256)
    assert negativa.load(Mixture([[0.0]], [1], [1], ["x"])).generate(Recipe("x", steps=2)).image.size == (256, 256)


def test_the_plot_shows_the_point_where_it_is() -> None:
    def black(point: tuple[float, float]) -> np.ndarray:
        plot = np.asarray(*Exact(COMPASS).decode([torch.tensor(point)[:, None, None]]))
        return np.argwhere((plot == 0).all(-1)).mean(0) if (plot == 0).all(-1).any() else np.array([])

    row, column = black((3.0, -1.0))  # east and a little south
    assert (row - 128) / (column - 128) == pytest.approx(1 / 3, abs=0.05) and column > 180
    assert black((1e9, 0.0))[1] > 245 and black((math.nan, 0.0)).size == 0


def test_the_command_line_draws_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    def negativa_command(prompt: str, file: str) -> None:
        words = ["generate", prompt, "--model", "exact", "--steps", "4", "--out", str(tmp_path / file)]
        monkeypatch.setattr("sys.argv", ["negativa", *words])
        main()

    with pytest.raises(SystemExit, match="0"):
        negativa_command("east", "a.png")
    assert Image.open(tmp_path / "a.png").size == (256, 256)
    with pytest.raises(SystemExit, match="2"):
        negativa_command("eats", "b.png")
    assert "did you mean 'east'" in capsys.readouterr().err
