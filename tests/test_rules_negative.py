"""Rules that push away from each negative, measured from nothing: formulas by hand, gates, exact truth."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from negativa.plain.knobs import knobs_of
from negativa.plain.passes import LATENTS, NOTHING, POSITIVE, Active, Moment
from negativa.rules.ccfg import Contrastive
from negativa.rules.composable import Composable
from negativa.rules.crg import ConceptRemoval
from negativa.rules.dng import Dynamic
from negativa.rules.perp_neg import PerpNeg
from negativa.rules.sega import Semantic
from negativa.rules.signed import Signed
from negativa.rules.sld import SafeLatent

SHAPE = (4, 6, 6)
ONE = (Active("negative 0", 1.0),)
TWO = (Active("negative 0", 1.5), Active("negative 1", -0.5))
KINDS = [Composable, Signed, PerpNeg, SafeLatent, Semantic, Dynamic, Contrastive, ConceptRemoval]
RULES = [
    *(pytest.param(kind(scale), id=f"{kind.__name__} {scale}") for kind in KINDS for scale in (1.0, 7.5, -2.0)),
    *(pytest.param(SafeLatent(5.0, **values), id=name) for name, values in SafeLatent.PRESETS.items()),
    pytest.param(Dynamic(5.0, **Dynamic.PRESETS["released"]), id="released"),
    pytest.param(Semantic(3.0, repulsion=2.0, threshold=0.0, warmup=0.0, momentum=0.9, decay=0.2), id="Semantic, all"),
    pytest.param(ConceptRemoval(3.0, strength=1.0, tau=-5.0), id="ConceptRemoval, tau"),
]


def drawn(seed: int, shape=SHAPE) -> dict[str, torch.Tensor]:
    """Latents, and predictions that differ as those of a network do: a little."""
    generator = torch.Generator().manual_seed(seed)
    latents, common = torch.randn(2, *shape, generator=generator)
    names = (POSITIVE, NOTHING, "negative 0", "negative 1")
    return {LATENTS: latents} | {name: common + 0.1 * torch.randn(shape, generator=generator) for name in names}


def at(step: int, negatives=ONE, steps: int = 10) -> Moment:
    """The moment of a walk with angles: alpha grows, sigma shrinks."""
    angle = (step + 1) / (steps + 1) * np.pi / 2
    return Moment(step, steps, negatives, alpha=float(np.sin(angle)), sigma=float(np.cos(angle)))


def guided(rule, values, moment, memory=None) -> np.ndarray:
    return rule.combine(values, moment, {} if memory is None else memory).double().numpy()


def letters(values) -> list[np.ndarray]:
    return [values[name].double().numpy() for name in (POSITIVE, NOTHING, "negative 0", "negative 1")]


def close(one, other, tolerance: float = 1e-5) -> None:
    np.testing.assert_allclose(one, other, rtol=0, atol=tolerance)


class TestContract:
    @pytest.mark.parametrize("rule", RULES)
    def test_scale_one_without_negatives_is_the_positive_in_one_pass(self, rule) -> None:
        rule = type(rule)(**{**vars(rule), "scale": 1.0})
        values = {POSITIVE: drawn(0)[POSITIVE]}
        assert rule.passes(at(3, ())) == (POSITIVE,)
        assert torch.equal(rule.combine(values, at(3, ()), {}), values[POSITIVE])

    @pytest.mark.parametrize("rule", RULES)
    def test_negatives_at_nothing_or_without_weight_leave_plain_guidance(self, rule) -> None:
        memory, weightless = {}, {}
        for step in range(8):
            values = drawn(step)
            c, u, *_ = letters(values)
            close(guided(rule, values | {"negative 0": values[NOTHING]}, at(step), memory), u + rule.scale * (c - u))
            near = guided(rule, values, at(step, (Active("negative 0", 1e-9),)), weightless)
            close(near, u + rule.scale * (c - u))

    @pytest.mark.parametrize("rule", RULES)
    def test_equal_predictions_come_back_and_nothing_given_is_changed(self, rule) -> None:
        memory = {}
        for step in range(4):
            values = drawn(step)
            kept, before = {name: one.clone() for name, one in values.items()}, dict(memory)
            copies = {name: [x.clone() if isinstance(x, torch.Tensor) else x for x in _parts(v)] for name, v in before.items()}
            assert rule.combine(values, at(step, TWO), memory).dtype == torch.float32
            assert all(torch.equal(values[name], kept[name]) for name in kept)
            assert all(_same(_parts(before[name]), copies[name]) for name in before)
        same = dict.fromkeys(values, values[POSITIVE])
        close(guided(rule, same, at(0, TWO)), same[POSITIVE].double().numpy(), 2e-6)

    @pytest.mark.parametrize("kind", KINDS)
    def test_a_negative_pushes_away_and_a_weight_below_zero_draws_near(self, kind) -> None:
        c, u, n = torch.zeros(3, *SHAPE)
        n[:, :, :2], c[:, :, 2:4] = 0.01, 0.02  # apart: what the negative says, the prompt does not
        if kind is ConceptRemoval:
            c = c + 0.8 * n  # a prompt that shows signs of it
        values = {POSITIVE: c, NOTHING: u, "negative 0": n, LATENTS: torch.ones(SHAPE)}
        for weight in (1.0, -1.0):
            moved = guided(kind(3.0), values, at(5, (Active("negative 0", weight),))) - 3.0 * c.numpy()
            assert np.sign((moved * n.numpy()).sum()) == -weight

    @pytest.mark.parametrize("kind", [SafeLatent, Dynamic])
    def test_presets_lie_within_the_knobs(self, kind) -> None:
        for values in kind.PRESETS.values():
            assert all(knobs_of(kind)[name].check(name, value) == value for name, value in values.items())


def _parts(value) -> list:
    return list(value) if isinstance(value, tuple) else [value]


def _same(one: list, other: list) -> bool:
    return all(torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b for a, b in zip(one, other, strict=True))


class TestAffine:
    def test_not_and_signed_by_hand(self) -> None:
        values = {name: torch.tensor([x]) for name, x in zip(drawn(0), (0.0, 1.0, 2.0, 4.0, 16.0), strict=True)}
        assert guided(Composable(3.0), values, at(0)) == 2 + 3 * (1 - 4)
        assert guided(Composable(3.0), values, at(0, TWO)) == 2 + 3 * (1 - 2) - 3 * (1.5 * (4 - 2) - 0.5 * (16 - 2))
        assert guided(Signed(3.0, 5.0), values, at(0, TWO)) == 2 + 3 * (1 - 2) - 5 * (1.5 * (4 - 2) - 0.5 * (16 - 2))

    def test_where_prompt_and_negative_agree_not_leaves_nothing(self) -> None:
        values = drawn(1)
        close(guided(Composable(7.5), values | {"negative 0": values[POSITIVE]}, at(0)), letters(values)[1])

    @pytest.mark.parametrize(("rule", "powers"), [(Composable(3.0), (3, -3, 1)), (Signed(4.0, 2.0), (4, -2, -1))])
    def test_gaussian_flows_end_where_the_closed_form_says(self, rule, powers) -> None:
        """Equal means m: x_end - m = (x_start - m) prod (s_i^2 / (s_i^2 + sigma^2))^(a_i / 2), a_i the coefficients."""
        mean, stds, start, sigmas = 0.3, (0.7, 1.3, 1.0), 9.0, np.geomspace(10, 1e-3, 400)  # of c, n, u
        names = (POSITIVE, "negative 0", NOTHING)

        def slope(x, sigma):
            noises = {k: torch.tensor([(x - mean) * sigma / (s * s + sigma * sigma)]) for k, s in zip(names, stds, strict=True)}
            return rule.combine(noises, at(0), {}).item()

        x = start
        for now, after in pairwise(sigmas):
            first = slope(x, now)
            x += (after - now) * (first + slope(x + (after - now) * first, after)) / 2
        factor = np.prod([((s * s + 1e-6) / (s * s + 100)) ** (a / 2) for s, a in zip(stds, powers, strict=True)])
        assert x == pytest.approx(mean + (start - mean) * factor, rel=2e-3)


class TestPerpNeg:
    def test_by_hand(self) -> None:
        values, s, b = drawn(2), 7.5, 1.25
        c, u, n, m = letters(values)
        p = c - u
        away = sum(
            w * ((q - u) - np.vdot(q - u, p) / np.vdot(p, p) * p) for w, q in ((1.5, n), (-0.5, m))
        )  # over one whole image
        close(guided(PerpNeg(s, b), values, at(0, TWO)), u + s * (p - b * away))

    def test_what_it_does_lies_across_the_prompt(self) -> None:
        for seed in range(5):
            values = drawn(seed)
            c, u, *_ = letters(values)
            p, d = c - u, guided(PerpNeg(7.5, 2.0), values, at(0, TWO))
            assert np.vdot(d - u, p) == pytest.approx(7.5 * np.vdot(p, p), rel=1e-5)

    def test_a_parallel_negative_changes_nothing(self) -> None:
        values = drawn(3)
        c, u, *_ = letters(values)
        parallel = values[NOTHING] - 0.6 * (values[POSITIVE] - values[NOTHING])
        close(guided(PerpNeg(7.5), values | {"negative 0": parallel}, at(0)), u + 7.5 * (c - u))

    @pytest.mark.parametrize("size", [0.0, 1e-30, 1e-12, 1e-10])
    def test_a_prompt_that_says_nothing_leaves_the_whole_negative(self, size) -> None:
        values = drawn(4)
        values = {name: value - values[NOTHING] for name, value in values.items()} | {POSITIVE: size * values[POSITIVE]}
        close(guided(PerpNeg(7.5), values, at(0)), -7.5 * letters(values)[2])

    def test_any_space_gives_the_same(self) -> None:
        values, alpha, sigma = drawn(5), 0.6, 0.8
        clean = {name: (values[LATENTS] - sigma * one) / alpha for name, one in values.items()}
        through = (values[LATENTS].double().numpy() - alpha * guided(PerpNeg(7.5), clean, at(0, TWO))) / sigma
        close(guided(PerpNeg(7.5), values, at(0, TWO)), through)


class TestSafeLatent:
    def test_agrees_with_diffusers_over_a_walk(self) -> None:
        from diffusers.pipelines.deprecated.stable_diffusion_safe import StableDiffusionPipelineSafe as Safe

        for preset in SafeLatent.PRESETS.values():
            rule, memory, momentum = SafeLatent(7.5, **preset), {}, None
            for step in range(50):
                values = drawn(step)
                c, u, n = (values[name][None] for name in (POSITIVE, NOTHING, "negative 0"))
                push, momentum = Safe.perform_safety_guidance(
                    *(None, True, momentum, c - u, (c, u, n), step, preset["strength"], round(50 * preset["warmup"])),
                    *(preset["threshold"], preset["momentum"], preset["decay"]),
                )
                theirs = (u + 7.5 * push)[0].double().numpy()
                close(guided(rule, values, at(step, steps=50), memory), theirs, 2e-5)

    def test_the_four_strengths_are_the_published_ones(self) -> None:
        published = {"weak": (15, 200, 0.0, 0.0), "medium": (10, 1000, 0.01, 0.3), "strong": (7, 2000, 0.025, 0.5)}
        published["max"] = (0, 5000, 1.0, 0.5)
        for name, (warmup, *rest) in published.items():
            preset = SafeLatent.PRESETS[name]
            assert [preset[key] for key in ("strength", "threshold", "momentum")] == rest
            acts = [step / 50 >= preset["warmup"] for step in range(50)]
            assert acts.index(True) == warmup
        assert [SafeLatent.PRESETS[name]["decay"] for name in ("medium", "strong", "max")] == [0.4, 0.7, 0.7]
        assert SafeLatent(1.0) == SafeLatent(1.0, **SafeLatent.PRESETS["medium"])

    def test_two_negatives_by_hand_share_one_mean(self) -> None:
        rule, memory, v = SafeLatent(6.0, 0.0, 12.0, -0.02, 0.5, 0.6), {}, 0.0
        for step in range(4):
            values = drawn(step)
            c, u, *negatives = letters(values)
            g = 0.5 * v
            for n, weight in zip(negatives, (1.5, -0.5), strict=True):
                g = g + weight * np.where(c - n < -0.02, np.minimum(12 * abs(c - n), 1), 0) * (n - u)
            v = 0.6 * v + 0.4 * g
            close(guided(rule, values, at(step, TWO), memory), u + 6 * (c - u - g))

    def test_without_limits_it_is_not(self) -> None:
        rule, values = SafeLatent(7.5, 0.0, 1e9, 1e9, 0.0), drawn(6)
        close(guided(rule, values, at(0, TWO)), guided(Composable(7.5), values, at(0, TWO)))


@pytest.mark.parametrize("kind", [SafeLatent, Semantic])
def test_the_warmup_holds_the_push_back_but_remembers_it(kind) -> None:
    cold, warm, memories = kind(7.5, warmup=0.0), kind(7.5), ({}, {})
    for step in range(3):  # of 10: the warmup is the first two
        values = drawn(step)
        c, u, *_ = letters(values)
        at_once, later = guided(cold, values, at(step), memories[0]), guided(warm, values, at(step), memories[1])
        close(later, at_once if step == 2 else u + 7.5 * (c - u))
        assert np.abs(at_once - (u + 7.5 * (c - u))).max() > 0.1


class TestSemantic:
    def test_two_negatives_by_hand_share_one_mean(self) -> None:
        rule, memory, v = Semantic(6.0, 4.0, 0.8, 0.0, 0.3, 0.7), {}, 0.0
        for step in range(4):
            values = drawn(step)
            c, u, *negatives = letters(values)
            g = 0.3 * v
            for n, weight in zip(negatives, (1.5, -0.5), strict=True):
                for channel in range(SHAPE[0]):
                    psi = -4 * weight * (n - u)[channel]
                    least = np.quantile(abs(psi), 0.8)
                    g = g + _only(channel, np.where(abs(psi) >= least - 1e-9, psi, 0))
            v = 0.7 * v + 0.3 * g
            close(guided(rule, values, at(step, TWO), memory), u + 6 * (c - u) + g)

    def test_a_tenth_of_each_channel_moves(self) -> None:
        values = drawn(7, (4, 10, 10))
        c, u, *_ = letters(values)
        moved = guided(Semantic(3.0, warmup=0.0), values, at(0)) - (u + 3 * (c - u))
        assert (np.abs(moved) > 1e-5).sum((1, 2)).tolist() == [10] * 4

    def test_without_a_threshold_it_is_signed(self) -> None:
        values = drawn(8)
        rule = Semantic(7.5, 5.0, threshold=0.0, warmup=0.0)
        close(guided(rule, values, at(0, TWO)), guided(Signed(7.5, 5.0), values, at(0, TWO)))


def _only(channel: int, values: np.ndarray) -> np.ndarray:
    whole = np.zeros(SHAPE)
    whole[channel] = values
    return whole


class TestContrastive:
    def test_by_hand_at_the_published_size(self) -> None:
        values = drawn(9, (4, 64, 64))
        values = {name: values[NOTHING] + 0.12 * (one - values[NOTHING]) for name, one in values.items()}
        c, u, n, m = letters(values)
        away = 0.0
        for w, q in ((1.5, n), (-0.5, m)):
            e = np.exp(-0.2 * ((q - u) ** 2).sum())
            away = away + w * 2 * e / (1 + e) * (q - u)
            assert 0.1 < e < 0.9  # neither near nor far
        close(guided(Contrastive(7.5), values, at(0, TWO)), u + 7.5 * (c - u) - 7.5 * away)

    def test_weight_falls_from_one_to_none_with_distance(self) -> None:
        u, c = torch.zeros(2, *SHAPE)
        for distance, weight in ((1e-6, 1.0), ((np.log(3) / 0.2 / 16384) ** 0.5, 0.5), (10.0, 0.0)):
            values = {POSITIVE: c, NOTHING: u, "negative 0": u + distance}
            close(guided(Contrastive(1.0), values, at(0)) / -distance, np.full(SHAPE, weight), 1e-4)

    def test_tau_zero_is_not(self) -> None:
        values = drawn(10)
        close(guided(Contrastive(7.5, 0.0), values, at(0, TWO)), guided(Composable(7.5), values, at(0, TWO)))

    def test_tau_means_the_same_at_any_size(self) -> None:
        values = {name: 0.05 * one for name, one in drawn(11).items()}
        larger = {name: one.repeat(1, 3, 2) for name, one in values.items()}
        small = guided(Contrastive(7.5), values, at(0, TWO))
        close(guided(Contrastive(7.5), larger, at(0, TWO)), np.tile(small, (1, 3, 2)))


class TestDynamic:
    def test_what_a_step_says_is_the_likelihood_ratio_under_the_samplers_own_kernel(self) -> None:
        """The densities are those of diffusers' ancestral Euler: its mean without its noise, its variance from two seeds."""
        from diffusers import EulerAncestralDiscreteScheduler

        from negativa.plain.samplers import SAMPLERS

        assert [SAMPLERS[name].scheduler for name in Dynamic.samplers] == ["EulerAncestralDiscreteScheduler"]
        rule, memory, log_r = Dynamic(4.0, 0.7, 0.1, 0.5, 0.9), {}, np.log(0.1)
        kernel = EulerAncestralDiscreteScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
        kernel.set_timesteps(12)
        latents = drawn(0)[LATENTS] * kernel.init_noise_sigma
        for step, time in enumerate(kernel.timesteps[:-1]):
            sigma = kernel.sigmas[step].item()
            norm = (1 + sigma * sigma) ** 0.5
            values = drawn(step) | {LATENTS: latents / norm}
            c, u, n, _ = letters(values)
            r = np.exp(log_r)
            now = Moment(step, 12, ONE, alpha=1 / norm, sigma=sigma / norm)
            close(guided(rule, values, now, memory), u + 4 * (c - u) - 0.7 * r / (1 - r) * (n - u), 2e-4)

            def after(y, seed=0, step=step, time=time, latents=latents):
                kernel._step_index, kernel.is_scale_input_called = step, True
                generator = torch.Generator().manual_seed(seed)
                return kernel.step(y, time, latents, generator=generator).prev_sample.double().numpy()

            z = [torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed)).double().numpy() for seed in (0, 1)]
            std = ((after(values[NOTHING], 0) - after(values[NOTHING], 1)) / (z[0] - z[1])).mean()
            mean_u, mean_n = after(values[NOTHING]) - std * z[0], after(values["negative 0"]) - std * z[0]
            chosen = mean_u + 0.4 * (mean_n - mean_u) + std * z[1]  # any draw will do
            nearer = ((chosen - mean_u) ** 2).sum() - ((chosen - mean_n) ** 2).sum()
            log_r = np.clip(log_r + 0.5 * nearer / (2 * std * std), np.log(1e-6), np.log(0.9))
            latents = torch.from_numpy(chosen).float()
        assert memory

    def test_traced_posterior_removes_one_mode_of_four_and_leaves_the_rest(self) -> None:
        means, std, steps = 3 * np.array([(1, 0), (0, 1), (-1, 0), (0, -1)]), 0.3, 60
        chance = np.random.default_rng(0)
        alphas = np.sin(np.linspace(0.02, 1, steps + 1) * np.pi / 2)
        rule, ends, errors = Dynamic(1.0, prior=0.25, ceiling=0.999), [], []

        def noises(x, alpha, sigma):
            spread = (alpha * std) ** 2 + sigma * sigma
            likelihood = -((x - alpha * means) ** 2).sum(1) / (2 * spread)
            shares = np.exp(likelihood - likelihood.max())
            shares /= shares.sum()
            each = sigma * (x - alpha * means) / spread
            return shares @ each, each[0], shares[0]

        for _ in range(90):
            x, memory = chance.standard_normal(2), {}
            for step, (alpha, to) in enumerate(pairwise(alphas)):
                sigma, sigma_to = (1 - alpha**2) ** 0.5, max(1 - to**2, 0.0) ** 0.5
                u, n, share = noises(x, alpha, sigma)
                named = {POSITIVE: u, NOTHING: u, "negative 0": n, LATENTS: x}
                tensors = {name: torch.tensor(one, dtype=torch.float32)[:, None, None] for name, one in named.items()}
                now = Moment(step, steps, ONE, alpha=alpha, sigma=sigma)
                d = guided(rule, tensors, now, memory)[:, 0, 0]
                if np.abs(n - u)[far := np.abs(n - u).argmax()] > 1e-2:  # else the push says nothing of the odds
                    odds = (u - d)[far] / (n - u)[far]
                    errors.append(abs(odds / (1 + odds) - share))
                clean = (x - sigma * d) / alpha
                ratio = (alpha / to) ** 2
                mean = to * (1 - ratio) / sigma**2 * clean + (alpha / to) * (sigma_to / sigma) ** 2 * x
                x = mean + (1 - ratio) ** 0.5 * sigma_to / sigma * chance.standard_normal(2)
            ends.append(np.linalg.norm(x - means, axis=1))
        nearest = np.argmin(ends, 1)
        assert (nearest == 0).mean() < 0.06 and (np.min(ends, 1) > 4 * std).mean() < 0.05
        assert np.bincount(nearest, minlength=4)[1:].min() > 15  # 30 each, less three standard deviations and the one removed
        assert np.mean(errors) < 0.05

    def test_without_belief_it_is_a_constant_push(self) -> None:
        rule, memory = Dynamic(3.0, 2.0, 0.2, temperature=0.0), {}
        for step in range(3):
            values = drawn(step)
            c, u, n, _ = letters(values)
            close(guided(rule, values, at(step), memory), u + 3 * (c - u) - 2 * 0.2 / 0.8 * (n - u))

    def test_several_negatives_are_traced_one_by_one_and_add_up(self) -> None:
        rule, memories = Dynamic(3.0, 0.1, temperature=0.1), ({}, {}, {})
        for step in range(4):
            values = drawn(step)
            c, u, *_ = letters(values)
            pushes = [
                guided(rule, values, at(step, acting), memory) - (u + 3 * (c - u))
                for acting, memory in zip((TWO, TWO[:1], TWO[1:]), memories, strict=True)
            ]
            close(pushes[0], pushes[1] + pushes[2])

    @pytest.mark.parametrize(("towards", "strength", "odds"), [(1, 1.0, 4.0), (-1, 1e5, 1e-6)])
    def test_overwhelming_evidence_stops_at_ceiling_and_floor(self, towards, strength, odds) -> None:
        rule, memory, values = Dynamic(3.0, strength, ceiling=0.8), {}, drawn(0)
        c, u, n, _ = letters(values)
        for step in range(4):  # more noise of the kind that is in the negative, taken out: nearer to it, ever faster
            far = values | {LATENTS: -towards * 1e3 * 10**step * (values["negative 0"] - values[NOTHING])}
            d = guided(rule, far, at(step), memory)
        close(d, u + 3 * (c - u) - strength * odds * (n - u))


class TestConceptRemoval:
    def test_by_hand_over_a_walk(self) -> None:
        rule, memory, earlier = ConceptRemoval(5.0, 1.5, -0.3), {}, np.zeros(2)
        for step in range(6):
            values = drawn(step)
            c, u, *negatives = letters(values)
            corrected, now, after = c, at(step, TWO), at(step + 1)
            for i, (n, weight) in enumerate(zip(negatives, (1.5, -0.5), strict=True)):
                h = ((c - u) ** 2).sum() - ((c - n) ** 2).sum()
                omega = max(h / 2 + earlier[i] + 0.3, 0) / ((n - u) ** 2).sum()
                corrected = corrected - 1.5 * weight * omega * (n - u)
                kept = (now.alpha / after.alpha) ** 2
                earlier[i] += (1 - kept) / (2 * kept * now.sigma**2) * h
            close(guided(rule, values, now, memory), u + 5 * (corrected - u), 2e-4)
        assert (earlier != 0).all()

    def test_on_a_flow_the_signs_count_as_much(self) -> None:
        rule, memory, flowing = ConceptRemoval(5.0, tau=-0.3), {}, {}
        for step in range(6):
            now, values = at(step), drawn(step)
            share = 1 / (now.alpha + now.sigma)
            flow = replace(now, alpha=now.alpha * share, sigma=now.sigma * share, flow=True)
            close(guided(rule, values, flow, flowing), guided(rule, values, now, memory))

    def test_strength_one_meets_the_threshold_and_no_more(self) -> None:
        values = drawn(12)
        c, u, n, _ = letters(values)
        for push, tau in ((0.9, 0.0), (0.9, 0.1), (0.1, 0.0)):
            values[POSITIVE] = torch.from_numpy(u + push * (n - u)).float()
            c = values[POSITIVE].double().numpy()
            d = guided(ConceptRemoval(1.0, 1.0, tau), values, at(0))
            signs = [(((y - u) ** 2).sum() - ((y - n) ** 2).sum()) / 2 for y in (c, d)]
            assert signs[1] == pytest.approx(tau if signs[0] > tau else signs[0], abs=1e-5)

    def test_a_negative_that_is_nearly_nothing_does_not_blow_up(self) -> None:
        values = drawn(13)
        for size in (0.0, 1e-12, 1e-6, 1e-4):
            near = values | {"negative 0": values[NOTHING] + size * (values[POSITIVE] - values[NOTHING])}
            assert np.abs(guided(ConceptRemoval(7.5), near, at(0))).max() < 20

    def test_what_earlier_steps_say_of_it_does_not_blow_up_either(self) -> None:
        rule, values, now, after = ConceptRemoval(7.5), drawn(13), at(0), at(1)
        c, u, *_ = letters(values)
        kept = (now.alpha / after.alpha) ** 2
        earlier = (1 - kept) / (2 * kept * now.sigma**2) * ((c - u) ** 2).sum()
        for size in (0.0, 1e-6, 1e-4, 0.1):
            memory = {}
            guided(rule, values | {"negative 0": values[POSITIVE]}, now, memory)
            near = values | {"negative 0": values[NOTHING] + size * (values[POSITIVE] - values[NOTHING])}
            n = letters(near)[2]
            h = ((c - u) ** 2).sum() - ((c - n) ** 2).sum()
            omega = (h / 2 + earlier) / max(((n - u) ** 2).sum(), 1e-6 * n.size)
            close(guided(rule, near, after, memory), u + 7.5 * (c - u) - 7.5 * 2 * omega * (n - u), 1e-3)
