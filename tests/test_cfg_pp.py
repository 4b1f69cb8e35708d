"""CFG++ against its own loop, written out here in float64, and what a walk tells a rule of the step it is about to take."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from negativa import InputError, Negative, Recipe, Studio
from negativa.denoisers.exact import Exact
from negativa.exact import COMPASS, Mixture
from negativa.plain.conditions import Nothing
from negativa.plain.passes import NOTHING, POSITIVE, Active, Moment, Pass
from negativa.plain.samplers import SAMPLERS
from negativa.rules.cfg_pp import PlusPlus
from negativa.rules.composable import Composable
from negativa.sampling.walk import walk

KINDS = ("epsilon", "v_prediction", "flow_prediction")
FLOWING = [name for name, one in SAMPLERS.items() if one.flow]
WIDE = Mixture([[2, 0], [-1, 1], [0, -2]], [1.5, 1.8, 1.3], [1, 2, 3], ["a", "b", "c"])
# Stable Diffusion's noise, written out: the square roots of beta lie evenly between two ends
KEPT = np.cumprod(1 - np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2)
LEVEL = np.sqrt((1 - KEPT) / KEPT)  # sigma / alpha


def levels(sampler: str, kind: str, steps: int) -> list[tuple[float, float]]:
    """alpha and sigma before each step and after the last."""
    if kind == "flow_prediction":
        return [(1 - t, t) for t in (*np.linspace(1, 0.001, steps), 0.0)]
    if sampler == "ddim":
        times = (np.arange(steps)[::-1] * (1000 // steps)) + 1
        return [(math.sqrt(KEPT[t]), math.sqrt(1 - KEPT[t])) for t in (*times, 0)]
    ratios = (*np.interp(np.linspace(999, 0, steps), np.arange(1000), LEVEL), 0.0)
    return [(1 / math.hypot(1, r), r / math.hypot(1, r)) for r in ratios]


def loop(sampler: str, kind: str, steps: int, share: float, negatives: dict[str, float]) -> np.ndarray:
    """The end of CFG++ for the prompt "a" of WIDE: clean points between nothing and prompt, the noise of nothing."""
    first, *_ = path = levels(sampler, kind, steps)
    x = torch.randn((1, 2), generator=torch.Generator().manual_seed(8)).double().numpy()
    if sampler == "euler":  # begins with its first level's noise alone
        x = first[1] * x
    for (alpha, sigma), (next_alpha, next_sigma) in itertools.pairwise(path):
        prompt, nothing = WIDE.only("a").clean(x, alpha, sigma), WIDE.clean(x, alpha, sigma)
        away = sum(w * (WIDE.only(label).clean(x, alpha, sigma) - nothing) for label, w in negatives.items())
        noise = (x - alpha * nothing) / sigma
        x = next_alpha * (nothing + share * (prompt - nothing - away)) + next_sigma * noise
    return x[0]


@pytest.mark.parametrize(
    ("sampler", "kind"), [(s, k) for s, k in itertools.product(PlusPlus.samplers, KINDS) if s == "euler" or "flow" not in k]
)
@pytest.mark.parametrize("negatives", [{}, {"b": 1.0}, {"b": 0.4, "c": 0.2}], ids=str)
def test_a_walk_ends_where_the_papers_loop_does(sampler: str, kind: str, negatives: dict[str, float]) -> None:
    studio, away = Studio(Exact(WIDE, prediction=kind)), [Negative(*one) for one in negatives.items()]  # type: ignore[arg-type]
    for share, steps in ((0.6, 20), (0.2, 10)):
        recipe = Recipe("a", away, seed=8, steps=steps, sampler=sampler, rule="cfg_pp", knobs={"share": share})
        result = studio.generate(recipe)
        expected = loop(sampler, kind, steps, share, negatives)
        np.testing.assert_allclose(result.latents.flatten(), expected, rtol=1e-4, atol=1e-4)
        assert result.receipt.rows_asked == (2 + len(negatives)) * steps


def test_it_is_not_of_the_scale_that_the_step_makes_of_the_share() -> None:
    c, u, n = (torch.randn(4, 6, 5, generator=torch.Generator().manual_seed(i)) for i in range(3))
    given, acting = {POSITIVE: c, NOTHING: u, "negative 0": n}, (Active("negative 0", 0.4),)
    steps = ((False, 0.6, 0.8, (0.8, 0.6)), (True, 0.0, 1.0, (0.1, 0.9)), (True, 0.3, 0.7, (0.4, 0.6)))
    for flow, alpha, sigma, after in steps:
        now = Moment(4, 10, acting, alpha=alpha, sigma=sigma, flow=flow, after=after)
        scale = 0.6 * after[0] * sigma / (after[0] * sigma - after[1] * alpha)
        expected = Composable(scale).combine(given, now, {})
        torch.testing.assert_close(PlusPlus(0.6).combine(given, now, {}), expected, rtol=0, atol=1e-5)


def test_a_step_that_is_not_known_or_moves_nothing_stays_finite() -> None:
    c, u = torch.ones(1, 2, 2), torch.zeros(1, 2, 2)
    for now in (Moment(0, 10), Moment(9, 10, alpha=0.6, sigma=0.8, after=(0.6, 0.8)), Moment(9, 10, alpha=0.6, sigma=0.8)):
        found = PlusPlus(0.3).combine({POSITIVE: c, NOTHING: u}, now, {})
        torch.testing.assert_close(found, torch.full((1, 2, 2), 0.3))


@pytest.mark.parametrize("kind", ["epsilon", "flow_prediction"])
def test_a_negative_drives_away(kind: str) -> None:
    studio = Studio(Exact(COMPASS, prediction=kind))  # type: ignore[arg-type]

    def north(negative: str) -> float:
        base = Recipe("", negative, steps=25, sampler="euler", rule="cfg_pp")
        found = [r.latents.flatten().tolist() for r in studio.generate_many([base.replace(seed=i) for i in range(60)])]
        return float(COMPASS.share_of("north", found).mean())

    assert 0.1 < north("") < 0.4 and north("north") < 0.05


def test_other_samplers_are_refused() -> None:
    with pytest.raises(InputError, match="sampler: 'heun' was given; allowed with the rule 'cfg_pp': ddim, euler"):
        Studio(Exact(WIDE)).generate(Recipe("a", sampler="heun", rule="cfg_pp"))


def test_a_scale_that_is_set_is_said_to_have_no_effect() -> None:
    studio, recipe = Studio(Exact(WIDE)), Recipe("a", "b", steps=5, sampler="euler", rule="cfg_pp")
    plain, scaled = studio.generate(recipe), studio.generate(recipe.replace(scale=1.0, wrappers="ramp"))
    assert plain.receipt.recipe.scale is None and plain.receipt.notices == ()
    assert torch.equal(plain.latents, scaled.latents)
    said = [f"the rule 'cfg_pp' has no scale: {what} has no effect" for what in ("the scale 1", "the wrapper 'ramp'")]
    assert scaled.receipt.notices == tuple(said)
    out = studio.generate(recipe.replace(scale=1.0, window=(0.5, 0.5))).receipt.notices
    assert out[0] == "the negative 'b' has no effect: no step of 5 lies in its window [0.5, 0.5)" and len(out) == 2


@pytest.mark.parametrize(
    ("sampler", "kind"), [*((name, "epsilon") for name in SAMPLERS), *((name, "flow_prediction") for name in FLOWING)]
)
def test_after_a_step_the_noise_is_what_the_step_before_was_told(sampler: str, kind: str) -> None:
    exact = Exact(WIDE, prediction=kind)  # type: ignore[arg-type]
    asks = walk(Recipe("a", steps=7, scale=1, sampler=sampler), (2, 1, 1), exact.scheduler)
    ask, moments = next(asks), []
    try:
        while True:
            moments.append(ask.moment)
            ask = asks.send({POSITIVE: exact.predict([ask.latents], [ask.timestep], [Pass(Nothing("empty"))])[0]})
    except StopIteration:
        pass
    for now, later in itertools.pairwise(moments):
        if later.evaluation == 0:
            assert now.after == pytest.approx((later.alpha, later.sigma), abs=1e-6)
    end = (KEPT[0] ** 0.5, (1 - KEPT[0]) ** 0.5) if sampler == "ddim" else (1.0, 0.0)  # DDIM's own last level
    assert moments[-1].after == pytest.approx(end, abs=1e-6)
