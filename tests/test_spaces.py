"""Noise, clean latents and velocity say the same thing; formulas are written out by hand."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from negativa.plain.passes import LATENTS, NOTHING, POSITIVE, Moment
from negativa.rules.cfg import ClassifierFree
from negativa.rules.spaces import combine_in, convert, from_x0, to_x0

SPACES = ("noise", "x0", "velocity")
LEVELS = (0.03, 0.5, 0.9, 0.999)


def at(sigma: float, flow: bool = False) -> Moment:
    return Moment(4, 10, alpha=1 - sigma if flow else math.sqrt(1 - sigma**2), sigma=sigma, flow=flow)


def drawn(seed: int) -> torch.Tensor:
    return torch.randn(4, 6, 5, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("flow", [False, True])
@pytest.mark.parametrize("sigma", LEVELS)
def test_one_truth_in_three_spaces(sigma: float, flow: bool) -> None:
    x0, noise, alpha = drawn(1), drawn(2), 1 - sigma if flow else math.sqrt(1 - sigma**2)
    latents = alpha * x0 + sigma * noise
    said = {"noise": noise, "x0": x0, "velocity": noise - x0 if flow else alpha * noise - sigma * x0}
    for source, target in itertools.product(SPACES, SPACES):
        found = convert(said[source], latents, at(sigma, flow), source, target)
        torch.testing.assert_close(found, said[target], rtol=0, atol=2e-6 / min(alpha, sigma))


@pytest.mark.parametrize("flow", [False, True])
@pytest.mark.parametrize("sigma", [0.0, *LEVELS, 1.0])
@pytest.mark.parametrize("space", SPACES)
def test_there_and_back(space, sigma: float, flow: bool) -> None:
    prediction, latents, now = drawn(3), drawn(4), at(sigma, flow)
    kept, close = (prediction.clone(), latents.clone()), 1e-6 / max(min(now.alpha, sigma), 1e-4)
    back = from_x0(to_x0(prediction, latents, now, space), latents, now, space)
    torch.testing.assert_close(back, prediction, rtol=0, atol=close)
    for other in SPACES:
        back = convert(convert(prediction, latents, now, space, other), latents, now, other, space)
        torch.testing.assert_close(back, prediction, rtol=0, atol=close)
    assert torch.equal(kept[0], prediction) and torch.equal(kept[1], latents)


def test_any_is_whichever_it_is() -> None:
    prediction, latents = drawn(3), drawn(4)
    for space in SPACES:
        assert convert(prediction, latents, at(0.5), space, "any") is prediction
        assert convert(prediction, latents, at(0.5), "any", space) is prediction


def test_the_ends_stay_finite() -> None:
    prediction, latents = drawn(3), drawn(4)
    ends = itertools.product(((0.0, 1.0), (1.0, 0.0)), (False, True))
    for moment in (Moment(4, 10, alpha=alpha, sigma=sigma, flow=flow) for (alpha, sigma), flow in ends):
        for source, target in itertools.product(SPACES, SPACES):
            assert convert(prediction, latents, moment, source, target).isfinite().all()


@pytest.mark.parametrize("space", SPACES)
def test_a_wrapped_rule_sees_its_own_space(space) -> None:
    """A rule that keeps the larger of two clean values does so whatever space its wrapper works in."""

    class Larger:
        space = "x0"

        def passes(self, moment):
            return (POSITIVE, NOTHING)

        def combine(self, predictions, moment, memory):
            return predictions[POSITIVE].maximum(predictions[NOTHING])

    now, latents, sigma, alpha = at(0.6), drawn(5), 0.6, 0.8
    first, second = drawn(6), drawn(7)
    meaning = {
        "noise": lambda x0: (latents - alpha * x0) / sigma,
        "x0": lambda x0: x0,
        "velocity": lambda x0: alpha * (latents - alpha * x0) / sigma - sigma * x0,
    }[space]
    given = {POSITIVE: meaning(first), NOTHING: meaning(second), LATENTS: latents}
    found = combine_in(space, Larger(), given, now, {})
    torch.testing.assert_close(found, meaning(first.maximum(second)), rtol=0, atol=5e-6)


def test_affine_rules_need_no_conversion() -> None:
    given = {POSITIVE: drawn(1), NOTHING: drawn(2)}  # no latents: none are read
    found = combine_in("x0", ClassifierFree(3.0), given, at(0.5), {})
    torch.testing.assert_close(found, drawn(2) + 3 * (drawn(1) - drawn(2)))
