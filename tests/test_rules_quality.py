"""Rules for quality, against formulas in float64 written out by hand, and against diffusers' guiders where those are right."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from diffusers.guiders.adaptive_projected_guidance import MomentumBuffer, normalized_guidance
from diffusers.guiders.classifier_free_zero_star_guidance import ClassifierFreeZeroStarGuidance
from diffusers.guiders.magnitude_aware_guidance import mambo_guidance
from diffusers.guiders.tangential_classifier_free_guidance import normalized_guidance as tangential_guidance

from negativa.plain.passes import NOTHING, POSITIVE, Active, Moment
from negativa.rules.apg import AdaptiveProjected
from negativa.rules.baseline import baseline, baseline_passes
from negativa.rules.cfg import ClassifierFree
from negativa.rules.cfg_zero import ZeroStar
from negativa.rules.fdg import FrequencyDecoupled
from negativa.rules.mambo import MagnitudeAware
from negativa.rules.tcfg import Tangential

SHAPE = (4, 6, 9)
ONE, WEAK = (Active("negative 0", 1.0),), (Active("negative 0", 0.4),)
TWO = (Active("negative 0", 1.0), Active("negative 1", -0.5))
ACTIVE = {"no negative": (), "one": ONE, "one, weak": WEAK, "two": TWO}
PLAIN = AdaptiveProjected(7.5, parallel=1.0, radius=1000.0, momentum=0.0)
KINDS = (AdaptiveProjected, ZeroStar, Tangential, MagnitudeAware, FrequencyDecoupled)
RULES = [
    AdaptiveProjected(7.5),
    AdaptiveProjected(3.0, parallel=0.3, radius=0.02, momentum=0.0),
    ZeroStar(7.5),
    ZeroStar(-2.0, zero_init=0.2),
    Tangential(7.5),
    MagnitudeAware(7.5),
    MagnitudeAware(12.0, damping=1.0),
    FrequencyDecoupled(7.5),
    FrequencyDecoupled(4.0, low=-1.0),
]


def moment(negatives: tuple[Active, ...] = (), step: int = 4) -> Moment:
    return Moment(step, 10, negatives, alpha=0.6, sigma=0.8)


def drawn(seed: int = 11) -> dict[str, torch.Tensor]:
    """Predictions that are much alike, as those of a network are."""
    generator = torch.Generator().manual_seed(seed)
    shared = torch.randn(SHAPE, generator=generator)
    return {
        name: shared + 0.3 * torch.randn(SHAPE, generator=generator) for name in (POSITIVE, NOTHING, "negative 0", "negative 1")
    }


def exact(values: dict[str, torch.Tensor], negatives: tuple[Active, ...]) -> tuple[np.ndarray, np.ndarray]:
    """The prompt's prediction and the baseline in float64: u + sum of w (n - u)."""
    c, u = (values[name].double().numpy() for name in (POSITIVE, NOTHING))
    return c, u + sum(one.weight * (values[one.name].double().numpy() - u) for one in negatives)


def by_hand(rule, c: np.ndarray, b: np.ndarray) -> np.ndarray:
    """What a rule means, in float64."""
    s, flat = rule.scale, (lambda x: x.reshape(-1))
    if isinstance(rule, AdaptiveProjected):
        push, limit = c - b, rule.radius * np.sqrt(c.size)
        if np.linalg.norm(push) > limit:
            push = push * limit / np.linalg.norm(push)
        unit = c / np.linalg.norm(c)
        along = np.dot(flat(push), flat(unit)) * unit
        return c + (s - 1) * ((push - along) + rule.parallel * along)
    if isinstance(rule, ZeroStar):
        b = b * np.dot(flat(c), flat(b)) / np.dot(flat(b), flat(b))
        return b + s * (c - b)
    if isinstance(rule, Tangential):
        shared = np.linalg.svd(np.stack([flat(c), flat(b)]), full_matrices=False)[2][0]
        b = (np.dot(flat(b), shared) * shared).reshape(c.shape)
        return b + s * (c - b)
    if isinstance(rule, MagnitudeAware):
        return b + (1 + (s - 1) * np.exp(-rule.damping * np.linalg.norm(c - b) / np.linalg.norm(b))) * (c - b)
    rows, columns = blurring(c.shape[-2]), blurring(c.shape[-1])
    low = np.einsum("ij,cjk,lk->cil", rows, c - b, columns)
    return c + (s - 1) * (c - b - low) + (s - 1) * rule.low * low


def blurring(size: int) -> np.ndarray:
    """The matrix of [1 2 1] / 4 four times, edges repeated."""
    once = np.zeros((size, size))
    for i in range(size):
        for j, weight in ((i - 1, 0.25), (i, 0.5), (i + 1, 0.25)):
            once[i, min(max(j, 0), size - 1)] += weight
    return np.linalg.matrix_power(once, 4)


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("negatives", ACTIVE.values(), ids=ACTIVE)
class TestEveryRule:
    def test_is_its_formula(self, rule, negatives) -> None:
        values, now = drawn(), moment(negatives)
        expected = torch.from_numpy(by_hand(rule, *exact(values, negatives))).float()
        torch.testing.assert_close(rule.combine(values, now, {}), expected, rtol=1e-4, atol=5e-5)

    def test_equal_predictions_come_back(self, rule, negatives) -> None:
        same = drawn()[POSITIVE]
        for value in (same, 0 * same, 1e-8 * same):
            guided = rule.combine(dict.fromkeys(drawn(), value), moment(negatives), {})
            torch.testing.assert_close(guided, value, rtol=0, atol=2e-6)

    def test_scale_one_is_the_prompt_alone_and_near_it_nothing_jumps(self, rule, negatives) -> None:
        kind, values, now = type(rule), drawn(), moment(negatives)
        assert kind(1.0).passes(now) == (POSITIVE,)
        assert kind(1.0).combine(values, now, {}) is values[POSITIVE]
        torch.testing.assert_close(kind(1 + 1e-6).combine(values, now, {}), values[POSITIVE], rtol=0, atol=1e-5)

    def test_inputs_stay_untouched(self, rule, negatives) -> None:
        values = drawn()
        rule.combine(values, moment(negatives), {})
        assert all(torch.equal(value, drawn()[name]) for name, value in values.items())

    def test_zeros_anywhere_stay_finite(self, rule, negatives) -> None:
        for name in (POSITIVE, NOTHING, "negative 0"):
            values = drawn() | {name: torch.zeros(SHAPE)}
            assert rule.combine(values, moment(negatives), {}).isfinite().all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_push_leads_away_from_the_negative_and_a_larger_scale_further(kind) -> None:
    values, now = drawn(), moment(ONE)
    away = values[POSITIVE] - values["negative 0"]
    lengths = [((kind(scale).combine(values, now, {}) - values[POSITIVE]) * away).sum().item() for scale in (0.5, 2.0, 8.0)]
    assert lengths[0] < 0 < lengths[1] < lengths[2]


@pytest.mark.parametrize("kind", KINDS)
def test_weights_near_zero_and_near_one_make_no_jump(kind) -> None:
    values, rule = drawn(), kind(5.0)
    for weight, neighbour in ((0.0, ()), (1.0, ONE)):
        near = rule.combine(values, moment((Active("negative 0", weight + 1e-6),)), {})
        torch.testing.assert_close(near, rule.combine(values, moment(neighbour), {}), rtol=0, atol=1e-4)


def test_the_baseline_by_hand() -> None:
    values = {NOTHING: torch.tensor([2.0]), "negative 0": torch.tensor([4.0]), "negative 1": torch.tensor([8.0])}
    assert baseline(values, moment()).item() == 2
    assert baseline(values, moment(ONE)).item() == 4
    assert baseline(values, moment(WEAK)).item() == pytest.approx(2 + 0.4 * 2)
    assert baseline(values, moment(TWO)).item() == 2 + 2 - 3
    assert baseline_passes(moment()) == (NOTHING,)
    assert baseline_passes(moment(ONE)) == ("negative 0",)
    assert baseline_passes(moment(TWO)) == (NOTHING, "negative 0", "negative 1")


def test_weights_that_sum_to_one_in_any_order_ask_for_the_same_passes() -> None:
    """0.6 + 0.3 + 0.1 falls short of 1 in floating point, 0.1 + 0.3 + 0.6 does not."""
    values = {name: torch.tensor([value]) for name, value in (("negative 0", 4.0), ("negative 1", 8.0), ("negative 2", 16.0))}
    for weights in ((0.6, 0.3, 0.1), (0.1, 0.3, 0.6)):
        now = moment(tuple(Active(name, weight) for name, weight in zip(values, weights, strict=True)))
        assert baseline_passes(now) == tuple(values)
        by_hand = sum(weight * value.item() for weight, value in zip(weights, values.values(), strict=True))
        assert baseline(values, now).item() == pytest.approx(by_hand)


class TestAdaptiveProjected:
    def test_all_knobs_open_is_cfg(self) -> None:
        values, now = drawn(), moment(TWO)
        torch.testing.assert_close(
            PLAIN.combine(values, now, {}), ClassifierFree(7.5).combine(values, now, {}), rtol=0, atol=1e-4
        )

    def test_the_push_is_square_to_the_prompt_and_bounded(self) -> None:
        values, c = drawn(), drawn()[POSITIVE]
        push = (AdaptiveProjected(2.0, radius=0.02).combine(values, moment(), {}) - c).double()
        assert abs((push * c).sum().item()) < 1e-4
        assert push.square().mean().sqrt().item() < 0.02

    def test_momentum_agrees_with_diffusers(self) -> None:
        rule, memory, buffer = AdaptiveProjected(5.0, parallel=0.2, radius=0.45, momentum=-0.5), {}, MomentumBuffer(-0.5)
        for step in range(3):
            values = drawn(step)
            kept = memory.get("apg push")
            before = None if kept is None else kept.clone()
            found = rule.combine(values, moment(step=step), memory)
            pair = values[POSITIVE][None], values[NOTHING][None]
            norm = 0.45 * values[POSITIVE].numel() ** 0.5
            reference = normalized_guidance(*pair, 4.0, buffer, 0.2, norm, use_original_formulation=True)
            torch.testing.assert_close(found, reference[0], rtol=0, atol=2e-5)
            assert kept is None or torch.equal(kept, before)  # replaced, not changed in place


class TestZeroStar:
    def test_agrees_with_diffusers(self) -> None:
        values, guider = drawn(), ClassifierFreeZeroStarGuidance(guidance_scale=4.0, zero_init_steps=0)
        guider._step = 5
        reference = guider.forward(values[POSITIVE][None], values[NOTHING][None]).pred[0]
        torch.testing.assert_close(ZeroStar(4.0).combine(values, moment(), {}), reference, rtol=0, atol=2e-5)

    def test_the_length_of_the_baseline_does_not_matter(self) -> None:
        values = drawn()
        longer = values | {NOTHING: -3 * values[NOTHING]}
        torch.testing.assert_close(
            *(ZeroStar(4.0).combine(given, moment(), {}) for given in (values, longer)), rtol=0, atol=2e-5
        )

    def test_zeroed_steps_come_first_and_cost_one_pass(self) -> None:
        rule = ZeroStar(4.0, zero_init=0.2)
        for step in range(10):
            now, zeroed = moment(ONE, step), step < 2
            assert rule.passes(now) == ((POSITIVE,) if zeroed else (POSITIVE, "negative 0"))
            assert (rule.combine(drawn(), now, {}) == 0).all().item() == zeroed
        assert ZeroStar(4.0).passes(moment(ONE, 0)) == (POSITIVE, "negative 0")
        assert ZeroStar(1.0, zero_init=0.2).combine(drawn(), moment(step=0), {}).abs().sum() > 0


class TestTangential:
    def test_agrees_with_diffusers(self) -> None:
        values = drawn()
        reference = tangential_guidance(values[POSITIVE][None], values[NOTHING][None], 6.0)[0]
        torch.testing.assert_close(Tangential(6.0).combine(values, moment(), {}), reference, rtol=0, atol=5e-5)

    @pytest.mark.parametrize("length", [0.01, 1.0, 100.0])
    def test_unlike_predictions(self, length: float) -> None:
        """Far from the usual angle: the two point apart, and one is much longer."""
        values = drawn()
        values[NOTHING] = length * (torch.randn(SHAPE, generator=torch.Generator().manual_seed(5)) - values[POSITIVE])
        expected = torch.from_numpy(by_hand(Tangential(3.0), *exact(values, ()))).float()
        torch.testing.assert_close(
            Tangential(3.0).combine(values, moment(), {}), expected, rtol=1e-4, atol=1e-4 * max(1, length)
        )


class TestMagnitudeAware:
    def test_agrees_with_diffusers_on_a_row(self) -> None:
        """Its function fails on four dimensions; a prediction laid out in one row gets through."""
        values = drawn()
        rows = (values[name].reshape(1, -1) for name in (POSITIVE, NOTHING))
        reference = mambo_guidance(*rows, 10.0, 8.0).reshape(SHAPE)
        torch.testing.assert_close(MagnitudeAware(10.0).combine(values, moment(), {}), reference, rtol=0, atol=2e-5)

    def test_no_damping_is_cfg(self) -> None:
        values, now = drawn(), moment(TWO)
        found = MagnitudeAware(6.0, damping=0.0).combine(values, now, {})
        torch.testing.assert_close(found, ClassifierFree(6.0).combine(values, now, {}), rtol=0, atol=2e-5)


class TestFrequencyDecoupled:
    def test_an_even_push_gets_the_low_share_and_a_chequered_one_all(self) -> None:
        rule, c = FrequencyDecoupled(3.0, low=0.25), drawn()[POSITIVE]
        even = rule.combine({POSITIVE: c, NOTHING: c - 1}, moment(), {})
        torch.testing.assert_close(even - c, torch.full(SHAPE, 2 * 0.25), rtol=0, atol=2e-6)
        chequered = 1.0 - 2 * ((torch.arange(20)[:, None] + torch.arange(20)) % 2).expand(4, 20, 20)
        fine = rule.combine({POSITIVE: 0 * chequered, NOTHING: -chequered}, moment(), {})
        torch.testing.assert_close(fine[:, 4:-4, 4:-4], 2 * chequered[:, 4:-4, 4:-4], rtol=0, atol=1e-6)

    def test_the_full_share_is_cfg(self) -> None:
        values, now = drawn(), moment(TWO)
        found = FrequencyDecoupled(6.0, low=1.0).combine(values, now, {})
        torch.testing.assert_close(found, ClassifierFree(6.0).combine(values, now, {}), rtol=0, atol=2e-5)

    def test_any_space_gives_the_same_picture(self) -> None:
        """x0 from noise is (x - sigma noise) / alpha: before or after, it is the same."""
        values, latents, rule = drawn(), torch.randn(SHAPE, generator=torch.Generator().manual_seed(3)), FrequencyDecoupled(5.0)
        cleaned = {name: (latents - 0.8 * value) / 0.6 for name, value in values.items()}
        after = (latents - 0.8 * rule.combine(values, moment(TWO), {})) / 0.6
        torch.testing.assert_close(rule.combine(cleaned, moment(TWO), {}), after, rtol=0, atol=5e-5)
