"""Every rule in the table faces the same contract; formulas are written out by hand."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch

from negativa import Negative, Recipe
from negativa.plain.knobs import knobs_of
from negativa.plain.passes import LATENTS, NOTHING, POSITIVE, WEAKER, WORSE, Active, Moment
from negativa.rules import RULES, WRAPPERS, ClassifierFree, Window, build
from negativa.rules.interval import Interval
from negativa.rules.rescale import Rescale
from negativa.rules.sld import SafeLatent

SHAPE = (4, 8, 8)
ACTIVE = {
    "no negative": (),
    "one": (Active("negative 0", 1.0),),
    "one, weak": (Active("negative 0", 0.4),),
    "two": (Active("negative 0", 1.0), Active("negative 1", -0.5)),
    "two, shares": (Active("negative 0", 0.5), Active("negative 1", 0.5)),
}


def settings(kind: type) -> list[dict[str, float]]:
    """A rule's knobs at their defaults, and twice elsewhere."""
    known = knobs_of(kind)
    moved = [
        {name: min(max(one.default * share + shift, one.least), one.most) for name, one in known.items()}
        for share, shift in ((1.3, 0.1), (0.6, -0.05))
    ]
    return [{}, *moved] if known else [{}]


def own_sampler(kind: type) -> str:
    """A sampler that a rule goes with."""
    return getattr(kind, "samplers", ("euler_a",))[0]


#: What papers and their released code use, as their texts and tables say it.
PUBLISHED = {
    "apg": {"parallel": 0, "momentum": -0.5, "radius": pytest.approx(15 / (4 * 128 * 128) ** 0.5, abs=0.002)},
    "cfg_pp": {"share": 0.6},
    "cfg_zero": {"zero_init": 0},
    "cfg_zero:flow": {"zero_init": 0.04},
    "dng": {"strength": 1, "temperature": 1},
    "dng:released": {"strength": 5, "prior": 0.01, "temperature": 0.2, "ceiling": 0.8},
    "fdg": {"low": pytest.approx((5 - 1) / (10 - 1), abs=0.01)},
    "mambo": {"damping": 8},
    "nag": {"push": 2, "limit": 2.5, "blend": 0.375},
    **{f"nag:{name}": {"push": 4, "limit": 2.5, "blend": 0.25} for name in ("flux", "wan")},
    **{f"nag:{name}": {"push": 4, "limit": 2.5, "blend": 0.375} for name in ("sana", "pixart")},
    **{f"nag:{name}": {"push": 2, "limit": 2.5, "blend": 0.5} for name in ("sdxl", "playground")},
    "nag:sd35": {"push": 4, "limit": 2.5, "blend": 0.125},
    "nag:sd15": {"push": 2, "limit": 2.5, "blend": 0.375},
    "negtome": {"push": 0.9, "threshold": 0.7, "until": 0.2},
    "seg": {"sigma": 1e4},
    "sega": {"repulsion": 5, "threshold": 0.9, "warmup": 10 / 50, "momentum": 0.1, "decay": 0.4},
    "slg": {"first": 0.01, "last": 0.2},
    "vsf": {"strength": 3.5, "offset": 0.1},
    "interval": {"low": 0.28, "high": 5.42},
    "rescale": {"share": 0.7},
    "threshold": {"percentile": 0.995},
}
#: Where lengths, products and thresholds are taken; every other rule means the same in any space.
SPACES = {
    "noise": {"ccfg", "crg", "dng", "sega", "sld", "tcfg"},
    "x0": {"apg"},
    "velocity": {"cfg_zero", "mambo"},
}
#: Rules that measure every negative from nothing.
FROM_NOTHING = ("composable", "signed", "perp_neg", "sld", "sega", "dng", "ccfg", "crg")
VARIANTS = [
    pytest.param(
        build(Recipe(rule=f"{name}:{preset}".rstrip(":"), sampler=own_sampler(kind), scale=scale, window=window, knobs=knobs)),
        id=f"{name}{':' * bool(preset)}{preset}-{scale}-{window}-{i}",
    )
    for name, kind in RULES.items()
    for preset in ("", *getattr(kind, "PRESETS", ()))
    for i, knobs in enumerate(settings(kind))
    for scale in (1.0, 7.5, -2.0)
    for window in ((0.0, 1.0), (0.25, 0.5))
    if scale == 7.5 or (i == 0 and window == (0.0, 1.0))  # each of them varied by itself
    if i == 0 or window == (0.0, 1.0)
]


def moment(negatives: tuple[Active, ...], step: int = 4) -> Moment:
    return Moment(step, 10, negatives, alpha=0.6, sigma=0.8, after=(0.8, 0.6))


def predictions(names) -> dict[str, torch.Tensor]:
    names = (*names, LATENTS)
    return {name: torch.randn(SHAPE, generator=torch.Generator().manual_seed(len(name) + ord(name[-1]))) for name in names}


class Reading(Mapping):
    """A mapping that notes what is read from it."""

    def __init__(self, values: dict[str, torch.Tensor]) -> None:
        self.values_, self.read = values, set()

    def __getitem__(self, name: str) -> torch.Tensor:
        if name != LATENTS:
            self.read.add(name)
        return self.values_[name]

    def __iter__(self):
        return iter(self.values_)

    def __len__(self) -> int:
        return len(self.values_)


@pytest.mark.parametrize("rule", VARIANTS)
@pytest.mark.parametrize("negatives", ACTIVE.values(), ids=ACTIVE)
class TestContract:
    def test_passes_are_what_combine_reads(self, rule, negatives) -> None:
        now = moment(negatives)
        values = Reading(predictions([POSITIVE, NOTHING, WORSE, WEAKER, "negative 0", "negative 1"]))
        rule.combine(values, now, {})
        assert values.read == set(rule.passes(now))
        assert len(set(rule.passes(now))) == len(rule.passes(now))

    def test_equal_predictions_come_back_unchanged(self, rule, negatives) -> None:
        now, same = moment(negatives), predictions([POSITIVE])[POSITIVE]
        given = dict.fromkeys(rule.passes(now), same) | {LATENTS: predictions([])[LATENTS]}
        guided = rule.combine(given, now, {})
        torch.testing.assert_close(guided, same, rtol=0, atol=2e-6)

    def test_inputs_stay_untouched_and_shape_is_kept(self, rule, negatives) -> None:
        now = moment(negatives)
        given = predictions(rule.passes(now))
        before = {name: value.clone() for name, value in given.items()}
        guided = rule.combine(given, now, {})
        assert guided.shape == SHAPE and guided.dtype == torch.float32
        assert all(torch.equal(given[name], before[name]) for name in before)

    def test_nothing_in_the_negatives_place_gives_plain_guidance(self, rule, negatives) -> None:
        now, plain = moment(negatives), moment(())
        given = predictions([POSITIVE, NOTHING, WORSE, WEAKER])
        given |= dict.fromkeys(("negative 0", "negative 1"), given[NOTHING])
        torch.testing.assert_close(rule.combine(given, now, {}), rule.combine(given, plain, {}), rtol=0, atol=2e-5)

    def test_outside_its_window_a_negative_is_not_there(self, rule, negatives) -> None:
        if not isinstance(rule, Window):
            return
        for step in (2, 5, 9):  # the window [.25, .5) holds steps 3 and 4 of 10
            assert rule.passes(moment(negatives, step)) == rule.rule.passes(moment((), step))


def test_cfg_by_hand() -> None:
    c, u, n, m = (torch.tensor([value]) for value in (1.0, 2.0, 4.0, 8.0))
    values = {POSITIVE: c, NOTHING: u, "negative 0": n, "negative 1": m}
    rule = ClassifierFree(3.0)
    by_hand = {
        (): 2 + 3 * (1 - 2),
        (Active("negative 0", 1.0),): 4 + 3 * (1 - 4),
        (Active("negative 0", 0.5),): (2 + 0.5 * 2) + 3 * (1 - 3),
        (Active("negative 0", 1.0), Active("negative 1", 2.0)): (2 + 2 + 12) + 3 * (1 - 16),
    }
    for negatives, guided in by_hand.items():
        assert rule.combine(values, moment(negatives), {}).item() == guided


def test_one_full_negative_saves_the_pass_for_nothing() -> None:
    rule = ClassifierFree(7.5)
    assert rule.passes(moment((Active("negative 0", 1.0),))) == (POSITIVE, "negative 0")
    assert rule.passes(moment((Active("negative 0", 0.9),))) == (POSITIVE, NOTHING, "negative 0")
    assert ClassifierFree(1.0).passes(moment((Active("negative 0", 1.0),))) == (POSITIVE,)


def test_neutral_is_approached_without_a_jump() -> None:
    now = moment((Active("negative 0", 1.0),))
    given = predictions([POSITIVE, "negative 0"])
    near, at = ClassifierFree(1 + 1e-6).combine(given, now, {}), ClassifierFree(1.0).combine(given, now, {})
    torch.testing.assert_close(near, at, rtol=0, atol=1e-4)


def test_a_window_of_a_rule_wants_what_the_rule_wants() -> None:
    for name, kind in RULES.items():
        assert Window(build(Recipe(rule=name, sampler=own_sampler(kind), scale=3.0))).space == kind.space


@pytest.mark.parametrize("name", PUBLISHED)
def test_defaults_and_presets_are_the_published_ones(name: str) -> None:
    kind, preset = (RULES | WRAPPERS)[name.partition(":")[0]], name.partition(":")[2]
    values = {knob: one.default for knob, one in knobs_of(kind).items()} | (kind.PRESETS[preset] if preset else {})
    assert {knob: values[knob] for knob in PUBLISHED[name]} == PUBLISHED[name]


def test_rules_work_in_the_space_of_their_papers() -> None:
    for space, names in SPACES.items():
        assert {name for name, kind in RULES.items() if kind.space == space} == names


def test_a_recipe_is_built_with_its_preset_knobs_wrappers_and_window() -> None:
    knobs, wrappers = {"strength": 5.0}, ["rescale:share=0.3", "interval:low=0.1:high=2"]
    recipe = Recipe(rule="sld:weak", scale=3.0, knobs=knobs, wrappers=wrappers, window=(0.2, 0.6))
    weak = SafeLatent(3.0, warmup=0.3, strength=5.0, threshold=0.0, momentum=0.0, decay=0.0)
    assert build(recipe) == Window(Interval(Rescale(weak, 0.3), 0.1, 2.0), 0.2, 0.6)


@pytest.mark.parametrize("name", WRAPPERS)
def test_a_wrapped_rule_keeps_the_contract_that_its_predictions_keep(name: str) -> None:
    now = moment((Active("negative 0", 1.0),))
    for inside in ("cfg", "apg", "sld", "cfg_zero"):
        rule = build(Recipe(rule=inside, scale=4.0, wrappers=[name]))
        same = predictions([POSITIVE])[POSITIVE]
        given = dict.fromkeys(rule.passes(now), same) | {LATENTS: predictions([])[LATENTS]}
        torch.testing.assert_close(rule.combine(given, now, {}), same, rtol=0, atol=2e-5)


def test_half_open_windows_share_no_step_and_miss_none() -> None:
    first, second = Negative("x", stop=0.5), Negative("x", start=0.5)
    for steps in (1, 2, 7, 10, 25):
        for step in range(steps):
            assert first.acts_at(step, steps) != second.acts_at(step, steps)
    assert [step for step in range(10) if first.acts_at(step, 10)] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    "change",
    [
        {"rule": "sld", "knobs": {"warmup": 1.0}},
        {"rule": "sld", "knobs": {"strength": 0.0}},
        {"rule": "sld", "negative": Negative("hat", 1.0, 0.0, 0.2)},
        {"rule": "sega", "knobs": {"repulsion": 0.0}},
        {"rule": "perp_neg", "knobs": {"repulsion": 0.0}},
        {"rule": "signed", "knobs": {"repulsion": 0.0}},
        {"wrappers": ("interval:low=0:high=0",)},
        {"wrappers": ("reuse:every=9",), "negative": Negative("hat", 1.0, 0.5)},
        {"rule": "nag", "knobs": {"push": 0.0}},
        {"rule": "nag", "knobs": {"blend": 0.0}},
        *({"rule": name, "knobs": {"push": 0.0}} for name in ("nasa", "ong", "negtome")),
    ],
)
def test_a_negative_that_changes_nothing_is_said_to(studio, change: dict) -> None:
    recipe = Recipe("portrait of a man", "hat", seed=3, steps=6, scale=4.0).replace(**change)
    made, without = studio.generate(recipe), studio.generate(recipe.replace(negative=()))
    torch.testing.assert_close(made.latents, without.latents, rtol=0, atol=1e-5)
    assert "the negative 'hat" in made.receipt.notices[0] and "does not hear it" in made.receipt.notices[0]


@pytest.mark.parametrize("name", [*FROM_NOTHING, "nag", "vsf", "nasa", "ong", "negtome"])
def test_negatives_that_act_at_scale_1_are_said_to_be_stopped_by_what_stops_them(studio, name: str) -> None:
    recipe = Recipe("portrait of a man", "hat", seed=3, steps=4, scale=1.0, rule=name)
    assert "no effect" not in " ".join(studio.generate(recipe).receipt.notices)
    stopped = studio.generate(recipe.replace(window=(0.5, 0.5))).receipt.notices
    assert stopped[0] == "the negative 'hat' has no effect: no step of 4 lies in its window [0.5, 0.5)"


@pytest.mark.parametrize("name", [name for name in RULES if name not in ("none", "autoguidance")])
def test_a_negative_that_changes_something_is_not_said_to_do_nothing(studio, name: str) -> None:
    sampler = next(iter(getattr(RULES[name], "samplers", ("euler_a",))))
    recipe = Recipe("portrait of a man", ("hat", Negative("mustache", 0.3, 0.1)), seed=3, steps=20, sampler=sampler, rule=name)
    assert "no effect" not in " ".join(studio.generate(recipe).receipt.notices)
