"""Wrappers around any rule, against formulas written out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from diffusers.guiders.guider_utils import rescale_noise_cfg

import negativa
from negativa import InputError, Negative, Recipe
from negativa.plain.passes import LATENTS, NOTHING, POSITIVE, Active, Moment
from negativa.rules import ClassifierFree, Unguided, Window, build
from negativa.rules.adaptive import IDLE, Adaptive
from negativa.rules.apg import AdaptiveProjected
from negativa.rules.cfg_zero import ZeroStar
from negativa.rules.interval import Interval
from negativa.rules.nag import NormalizedAttention
from negativa.rules.ramp import Ramp
from negativa.rules.rescale import Rescale
from negativa.rules.reuse import Reuse
from negativa.rules.tcfg import Tangential
from negativa.rules.threshold import Threshold

SHAPE = (4, 6, 9)
ALPHA, SIGMA = 0.6, 0.8
ONE = (Active("negative 0", 1.0),)
RULES = (ClassifierFree, AdaptiveProjected, ZeroStar, Tangential)  # any, x0, velocity, noise
WRAPPERS = {
    "interval": Interval,
    "rescale": Rescale,
    "threshold": Threshold,
    "threshold, half": lambda rule: Threshold(rule, 0.5),
    "ramp": Ramp,
    "cosine ramp": lambda rule: Ramp(rule, "cosine", 1.5, 0.5),
    "adaptive": Adaptive,
    "reuse": Reuse,
    "reuse of another": lambda rule: Reuse(Interval(rule), 2.0),
    "all": lambda rule: Adaptive(Ramp(Rescale(Threshold(Interval(rule))))),
}


def moment(negatives: tuple[Active, ...] = (), step: int = 4, sigma: float = SIGMA) -> Moment:
    return Moment(step, 10, negatives, alpha=math.sqrt(1 - sigma**2), sigma=sigma)


def drawn() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(11)
    return {name: torch.randn(SHAPE, generator=generator) for name in (POSITIVE, NOTHING, "negative 0", "negative 1", LATENTS)}


@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)
@pytest.mark.parametrize("kind", RULES)
class TestEveryWrapper:
    def test_equal_predictions_come_back(self, wrap, kind) -> None:
        rule, now = wrap(kind(7.5)), moment(ONE)
        value, latents = drawn()[POSITIVE], {LATENTS: drawn()[LATENTS]}
        guided = rule.combine(dict.fromkeys(rule.passes(now), value) | latents, now, {})
        torch.testing.assert_close(guided, value, rtol=0, atol=2e-5)
        for flat in (torch.full(SHAPE, 0.5), torch.zeros(SHAPE)):
            assert rule.combine(dict.fromkeys(rule.passes(now), flat) | latents, now, {}).isfinite().all()

    def test_scale_one_is_the_prompt_alone(self, wrap, kind) -> None:
        rule, values, now = wrap(kind(1.0)), drawn(), moment(ONE)
        assert rule.passes(now) == (POSITIVE,)
        torch.testing.assert_close(rule.combine(values, now, {}), values[POSITIVE], rtol=0, atol=5e-6)
        near = wrap(kind(1 + 1e-6)).combine(values, now, {})
        torch.testing.assert_close(near, values[POSITIVE], rtol=0, atol=1e-4)

    def test_inputs_stay_untouched(self, wrap, kind) -> None:
        values = drawn()
        guided = wrap(kind(7.5)).combine(values, moment(ONE), {})
        assert guided.shape == SHAPE and guided.dtype == torch.float32 and guided.isfinite().all()
        assert all(torch.equal(value, drawn()[name]) for name, value in values.items())


@pytest.mark.parametrize(("name", "field"), [("threshold", "works_in"), ("rescale", "rule"), ("reuse", "evry")])
def test_what_is_no_number_of_a_wrapper_is_refused(name: str, field: str) -> None:
    with pytest.raises(InputError, match=f"wrappers: '{name}' has no '{field}'") as refusal:
        build(Recipe(wrappers=(f"{name}:{field}=2",)))
    assert "works_in" not in str(refusal.value).partition(";")[2]


class TestInterval:
    def test_the_rule_acts_inside_only(self) -> None:
        rule, inner, values = Interval(ClassifierFree(5.0), 0.5, 2.0), ClassifierFree(5.0), drawn()
        for level, acts in ((0.4, False), (0.51, True), (1.0, True), (1.99, True), (2.1, False), (100.0, False)):
            now = moment(ONE, sigma=level / math.sqrt(1 + level**2))
            assert rule.passes(now) == (inner.passes(now) if acts else (POSITIVE,))
            guided = rule.combine(values, now, {})
            assert torch.equal(guided, inner.combine(values, now, {}) if acts else values[POSITIVE])

    def test_the_lower_end_is_out_and_the_upper_in(self) -> None:
        now = Moment(4, 10, ONE, alpha=0.5, sigma=0.5)
        assert Interval(ClassifierFree(5.0), 1.0, 2.0).passes(now) == (POSITIVE,)
        assert Interval(ClassifierFree(5.0), 0.5, 1.0).passes(now) == (POSITIVE, "negative 0")

    @pytest.mark.parametrize(("alpha", "sigma"), [(0.0, 1.0), (1.0, 0.0)])
    def test_pure_noise_is_outside_and_so_is_none_at_all(self, alpha: float, sigma: float) -> None:
        assert Interval(ClassifierFree(5.0)).passes(Moment(0, 10, ONE, alpha=alpha, sigma=sigma)) == (POSITIVE,)

    def test_where_no_step_lies_inside_that_is_said(self) -> None:
        never = Recipe("north", steps=10, scale=3.0, wrappers=("interval:low=1e5:high=1e6",))
        made = [negativa.load("exact").generate(one) for one in (never, never.replace(negative="south"))]
        assert ["at no step does the rule guide away" in " ".join(one.receipt.notices) for one in made] == [True, True]
        assert "the negative 'south' has no effect: the rule 'cfg' does not hear it" in " ".join(made[1].receipt.notices)

    @pytest.mark.parametrize("ends", [(2.0, 1.0), (-1.0, 1.0), (math.nan, 1.0)])
    def test_ends_out_of_order_are_refused(self, ends) -> None:
        with pytest.raises(InputError, match="0 <= low <= high"):
            Interval(ClassifierFree(5.0), *ends)


class TestRescale:
    @pytest.mark.parametrize("share", [0.0, 0.7, 1.0])
    def test_agrees_with_diffusers(self, share: float) -> None:
        values, now = drawn(), moment(ONE)
        plain = ClassifierFree(7.5).combine(values, now, {})
        expected = rescale_noise_cfg(plain[None], values[POSITIVE][None], share)[0]
        torch.testing.assert_close(Rescale(ClassifierFree(7.5), share).combine(values, now, {}), expected, rtol=0, atol=1e-5)

    def test_the_whole_share_has_the_prompts_contrast(self) -> None:
        values = drawn()
        guided = Rescale(ClassifierFree(7.5), 1.0).combine(values, moment(ONE), {})
        assert guided.std().item() == pytest.approx(values[POSITIVE].std().item(), rel=1e-5)

    def test_a_rule_for_clean_latents_gets_them(self) -> None:
        """Velocities in; x0 = alpha x - sigma v for the rule; v = (alpha x - x0) / sigma of what it gives."""
        values, now, rule = drawn(), moment(ONE), AdaptiveProjected(4.0, parallel=0.5, radius=0.1)
        x = values[LATENTS]
        clean = {name: ALPHA * x - SIGMA * values[name] for name in rule.passes(now)}
        guided = (ALPHA * x - rule.combine(clean, now, {})) / SIGMA
        expected = guided * values[POSITIVE].std() / guided.std()
        torch.testing.assert_close(Rescale(rule, 1.0).combine(values, now, {}), expected, rtol=0, atol=1e-5)


class TestThreshold:
    @pytest.mark.parametrize("percentile", [0.5, 0.9, 0.995, 1.0])
    def test_is_its_formula(self, percentile: float) -> None:
        values, now = drawn(), moment(ONE)
        c, n = (values[name].double().numpy() for name in (POSITIVE, "negative 0"))
        expected = np.empty(SHAPE)
        for channel, (positive, guided) in enumerate(zip(c, n + 7.5 * (c - n), strict=True)):
            mean, about = guided.mean(), guided - guided.mean()
            narrow = np.abs(positive - positive.mean()).max()
            wide = max(narrow, np.quantile(np.abs(about), percentile))
            expected[channel] = mean + np.clip(about, -wide, wide) / wide * narrow
        found = Threshold(ClassifierFree(7.5), percentile).combine(values, now, {})
        torch.testing.assert_close(found, torch.from_numpy(expected).float(), rtol=0, atol=2e-5)

    def test_within_the_range_nothing_changes(self) -> None:
        values, now = drawn(), moment(ONE)
        values[POSITIVE][:, 0, 0] = values["negative 0"][:, 0, 0] = 100.0  # a bright corner makes the range wide
        plain, found = (rule.combine(values, now, {}) for rule in (ClassifierFree(2.0), Threshold(ClassifierFree(2.0), 0.9)))
        torch.testing.assert_close(found[:, 1:], plain[:, 1:], rtol=0, atol=2e-5)

    def test_a_rule_for_noise_gets_noise(self) -> None:
        """x0 in; noise = (x - alpha x0) / sigma for the rule. A percentile of 1 keeps the order of the values."""
        values, now, rule = drawn(), moment(ONE), Tangential(3.0)
        x = values[LATENTS]
        noise = {name: (x - ALPHA * values[name]) / SIGMA for name in rule.passes(now)}
        guided = (x - SIGMA * rule.combine(noise, now, {})) / ALPHA
        found = Threshold(rule, 1.0).combine(values, now, {})
        assert torch.equal(found.flatten(1).argsort(dim=1), guided.flatten(1).argsort(dim=1))
        torch.testing.assert_close(found.mean(dim=(1, 2)), guided.mean(dim=(1, 2)), rtol=0, atol=1e-5)


class TestRamp:
    def test_linear_by_hand(self) -> None:
        values, rule = drawn(), Ramp(ClassifierFree(5.0))
        for step, scale in ((0, 1 + 4 * 0.1), (4, 1 + 4 * 0.9), (9, 1 + 4 * 1.9)):
            now = moment(ONE, step)
            expected = ClassifierFree(scale).combine(values, now, {})
            torch.testing.assert_close(rule.combine(values, now, {}), expected, rtol=0, atol=2e-5)

    def test_cosine_by_hand_and_falling(self) -> None:
        values, rule = drawn(), Ramp(ClassifierFree(5.0), "cosine", 2.0, 0.5)
        for step in (0, 3, 9):
            now, share = moment(ONE, step), 2.0 - 1.5 * (0.5 - 0.5 * math.cos(math.pi * (step / 10 + 0.05)))
            expected = ClassifierFree(1 + 4 * share).combine(values, now, {})
            torch.testing.assert_close(rule.combine(values, now, {}), expected, rtol=0, atol=2e-5)

    @pytest.mark.parametrize("shape", ["linear", "cosine"])
    @pytest.mark.parametrize("steps", [1, 2, 7, 30])
    def test_the_push_over_all_steps_is_that_of_a_constant_scale(self, shape, steps: int) -> None:
        values, rule = {POSITIVE: torch.tensor([1.0]), NOTHING: torch.tensor([0.0])}, Ramp(ClassifierFree(5.0), shape)
        pushes = [rule.combine(values, Moment(step, steps), {}).item() - 1 for step in range(steps)]
        assert pushes == sorted(pushes) and sum(pushes) == pytest.approx(4 * steps, rel=1e-5)

    def test_the_scale_is_found_inside_other_wrappers(self) -> None:
        values, now = drawn(), moment(ONE, 2)
        found = Ramp(Window(Interval(ClassifierFree(5.0)), 0.1, 0.5)).combine(values, now, {})
        torch.testing.assert_close(found, ClassifierFree(1 + 4 * 0.5).combine(values, now, {}), rtol=0, atol=2e-5)
        assert Ramp(Unguided()).combine(values, now, {}) is values[POSITIVE]

    def test_an_unknown_shape_is_refused(self) -> None:
        with pytest.raises(InputError, match="did you mean 'cosine'"):
            Ramp(ClassifierFree(5.0), "cosin")  # pyright: ignore[reportArgumentType]


class TestReuse:
    def test_what_was_added_is_added_again(self) -> None:
        rule, inner, values, memory = Reuse(ClassifierFree(5.0), 3.0), ClassifierFree(5.0), drawn(), {}
        added = torch.zeros(SHAPE)
        for step in range(7):
            now = moment(ONE, step)
            values |= {POSITIVE: torch.randn(SHAPE, generator=torch.Generator().manual_seed(step))}
            c, n = values[POSITIVE], values["negative 0"]
            if step % 3 == 0:
                assert rule.passes(now) == inner.passes(now)
                added = n + 5 * (c - n) - c
            else:
                assert rule.passes(now) == (POSITIVE,)
            given = {name: values[name] for name in (*rule.passes(now), LATENTS)}
            torch.testing.assert_close(rule.combine(given, now, memory), c + added, rtol=0, atol=1e-5)

    def test_every_step_is_the_rule_itself(self) -> None:
        values, now = drawn(), moment(ONE, 5)
        rule = Reuse(ClassifierFree(5.0), 1.0)
        assert rule.passes(now) == ClassifierFree(5.0).passes(now)
        torch.testing.assert_close(
            rule.combine(values, now, {}), ClassifierFree(5.0).combine(values, now, {}), rtol=0, atol=1e-5
        )

    def test_it_costs_what_it_says(self) -> None:
        studio = negativa.load("exact")
        recipe = Recipe("north", "south", steps=10, scale=3.0, wrappers=("reuse:every=4",))
        assert studio.generate(recipe).receipt.rows_asked == 10 + 3
        assert studio.generate(recipe.replace(sampler="heun")).receipt.rows_asked == 19 + 6  # steps 0, 4 and 8, twice each

    @pytest.mark.parametrize(("every", "asked"), [(1.0, range(10)), (2.5, (0, 3, 5, 8)), (4.0, (0, 4, 8)), (100.0, (0,))])
    def test_steps_between_may_be_no_whole_number(self, every: float, asked) -> None:
        rule = Reuse(ClassifierFree(5.0), every)
        assert [step for step in range(10) if len(rule.passes(moment(ONE, step))) == 2] == list(asked)


class TestAdaptive:
    rule = Adaptive(ClassifierFree(5.0), 0.99)

    def test_below_the_bar_the_rule_goes_on(self) -> None:
        values, memory = drawn(), {}
        for step in range(3):
            now = moment(ONE, step)
            assert torch.equal(self.rule.combine(values, now, memory), ClassifierFree(5.0).combine(values, now, {}))
        assert memory == {}

    def test_once_idle_the_positive_is_enough(self) -> None:
        values, memory, now = drawn(), {}, moment(ONE)
        values["negative 0"] = values[POSITIVE] + 0.05 * values[NOTHING]
        first = self.rule.combine(values, now, memory)  # idle is known after the step that shows it
        assert torch.equal(first, ClassifierFree(5.0).combine(values, now, {}))
        assert memory == {IDLE: self.rule.passes(now)}
        assert self.rule.combine({POSITIVE: values[POSITIVE]}, now, memory) is values[POSITIVE]

    def test_a_rule_for_noise_gets_noise_and_idle_is_judged_in_clean_latents(self) -> None:
        values, memory, now, rule = drawn(), {}, moment(ONE), Tangential(3.0)
        x = values[LATENTS]
        noise = {name: (x - ALPHA * values[name]) / SIGMA for name in rule.passes(now)}
        expected = (x - SIGMA * rule.combine(noise, now, {})) / ALPHA
        assert Adaptive(rule).space == "x0"
        torch.testing.assert_close(Adaptive(rule).combine(values, now, memory), expected, rtol=0, atol=1e-5)
        assert memory == {}

    def test_steps_that_ask_for_the_positive_alone_are_still_the_rules(self) -> None:
        values, memory, rule = drawn(), {}, Adaptive(ZeroStar(5.0, zero_init=0.2))
        for step in range(2):  # no velocity: the clean latents are alpha x
            guided = rule.combine(values, moment(ONE, step), memory)
            torch.testing.assert_close(guided, ALPHA * values[LATENTS], rtol=0, atol=1e-6)

    def test_every_other_pass_has_to_be_idle(self) -> None:
        values, memory = drawn(), {}
        now = moment((Active("negative 0", 0.5),))
        values["negative 0"] = values[POSITIVE]
        self.rule.combine(values, now, memory)
        assert memory == {}
        values[NOTHING] = -values[POSITIVE]  # the opposite is not idle either
        self.rule.combine(values, now, memory)
        assert memory == {}

    def test_a_negative_that_comes_later_is_heard(self) -> None:
        values, memory = drawn(), {}
        values[NOTHING] = values[POSITIVE]
        self.rule.combine(values, moment(), memory)
        assert memory[IDLE] == self.rule.passes(moment()) != self.rule.passes(moment(ONE))
        guided = self.rule.combine(values, moment(ONE), memory)
        assert torch.equal(guided, ClassifierFree(5.0).combine(values, moment(ONE), {}))

    def test_a_rule_that_spares_its_passes_stays_idle_in_between(self) -> None:
        values, memory, rule = drawn(), {}, Adaptive(Reuse(ClassifierFree(5.0), 2.0))
        rule.combine(values, moment(ONE, 0), memory)
        values["negative 0"] = values[POSITIVE] + 0.01 * values[NOTHING]
        rule.combine(values, moment(ONE, 2), memory)
        assert memory[IDLE] == rule.passes(moment(ONE, 2))
        assert all(rule.combine(values, moment(ONE, step), memory) is values[POSITIVE] for step in range(3, 10))

    @pytest.mark.parametrize("text", ["[north:east:0.5]", "north"])
    def test_a_negative_whose_words_change_is_heard(self, text: str) -> None:
        recipe = Recipe("west", text, steps=10, scale=3.0, wrappers=("adaptive:bar=-1",))  # idle after every step that asks
        made = negativa.load("exact").generate(recipe)
        assert made.receipt.rows_asked == 10 + (2 if "[" in text else 1)

    @pytest.mark.parametrize("rule", ["dng", "crg", "sld", "sega"])
    def test_what_a_rule_remembers_of_a_negative_is_forgotten_with_its_words(self, rule: str) -> None:
        """A negative that changes its words half-way is like two, each in its half."""
        studio, recipe = negativa.load("exact"), Recipe("south", "[south:west:0.5]", steps=10, rule=rule, seed=3)
        two = recipe.replace(negative=(Negative("south", 1, 0, 0.5), Negative("west", 1, 0.5, 1)))
        assert torch.equal(studio.generate(recipe).latents, studio.generate(two).latents)

    def test_wrapped_again_it_needs_the_positive_only(self) -> None:
        values, memory, now = drawn(), {}, moment(ONE)
        values["negative 0"] = values[POSITIVE]
        rule = Window(Threshold(Rescale(Adaptive(AdaptiveProjected(5.0), 0.9))), 0.0, 0.5)
        rule.combine(values, now, memory)
        assert memory[IDLE] == rule.passes(now)
        alone = {name: values[name] for name in (POSITIVE, LATENTS)}
        torch.testing.assert_close(rule.combine(alone, now, memory), values[POSITIVE], rtol=0, atol=1e-5)


class TestWindow:
    def test_outside_it_the_prompt_is_guided_away_from_nothing(self) -> None:
        values, rule = drawn(), Window(ClassifierFree(5.0), 0.2, 0.5)
        c, u, n = (values[name] for name in (POSITIVE, NOTHING, "negative 0"))
        for step in range(10):
            base, name = (n, "negative 0") if step in (2, 3, 4) else (u, NOTHING)
            assert rule.passes(moment(ONE, step)) == (POSITIVE, name)
            torch.testing.assert_close(rule.combine(values, moment(ONE, step), {}), base + 5 * (c - base), rtol=0, atol=1e-5)


def test_what_a_wrapper_takes_away_is_not_in_the_network_either() -> None:
    rule = NormalizedAttention(3.0)
    for wrapped, now, acts in (
        (Window(rule, 0.0, 0.5), moment(ONE, 4), True),
        (Window(rule, 0.0, 0.5), moment(ONE, 5), False),
        (Interval(rule, 0.5, 2.0), moment(ONE), True),
        (Interval(rule, 0.5, 2.0), moment(ONE, sigma=0.999), False),
        (Rescale(Ramp(rule)), moment(ONE), True),
    ):
        assert wrapped.patches(now) == (rule.patches(now) if acts else {})
    assert Rescale(ClassifierFree(3.0)).patches(moment(ONE)) == {}
