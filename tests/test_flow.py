"""Models that predict a flow: the same walk, samplers and rules, against diffusers' schedulers stepped by hand here."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers import (
    DPMSolverMultistepScheduler,
    FlowMatchEulerDiscreteScheduler,
    FlowMatchHeunDiscreteScheduler,
    UniPCMultistepScheduler,
)

from negativa import InputError, Recipe, Studio
from negativa.denoisers.exact import Exact
from negativa.exact import Mixture
from negativa.plain.conditions import Words
from negativa.plain.passes import LATENTS, NOTHING, POSITIVE, Active, Moment, Pass
from negativa.plain.samplers import SAMPLERS
from negativa.rules import RULES, build
from negativa.rules.spaces import convert, to_x0

THREE = Mixture([[2, 0, 1], [-1, 1, 0], [0, -2, 0], [1, 1, 1]], [0.5, 0.8, 0.3, 1.2], [1, 2, 3, 2], ["a", "b", "a", "c"])
#: As Stable Diffusion 3 says it, and as Wan does.
MATCHED = {"_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 1000, "shift": 3.0}
MULTISTEP = {
    "_class_name": "UniPCMultistepScheduler",
    "num_train_timesteps": 1000,
    "prediction_type": "flow_prediction",
    "use_flow_sigmas": True,
    "flow_shift": 3.0,
}
SIGMAS: dict[str, Any] = {"use_flow_sigmas": True, "prediction_type": "flow_prediction", "flow_shift": 3.0}
THEIRS = {
    "euler": lambda: FlowMatchEulerDiscreteScheduler(shift=3.0),
    "heun": lambda: FlowMatchHeunDiscreteScheduler(shift=3.0),
    "dpmpp_2m": lambda: DPMSolverMultistepScheduler(**SIGMAS),
    "unipc": lambda: UniPCMultistepScheduler(**SIGMAS),
}


def flow(config: dict[str, Any]) -> Exact:
    exact = Exact(THREE, prediction="flow_prediction")
    exact.scheduler = config
    return exact


@pytest.mark.parametrize("sampler", THEIRS)
@pytest.mark.parametrize("config", [MATCHED, MULTISTEP], ids=["shift", "flow_shift"])
def test_a_walk_is_the_loop_over_diffusers_scheduler(sampler: str, config: dict[str, Any]) -> None:
    exact, scheduler = flow(config), THEIRS[sampler]()
    x = torch.randn((3, 1, 1), generator=torch.Generator().manual_seed(6))
    scheduler.set_timesteps(12)
    for t in scheduler.timesteps:
        c, n = exact.predict([x, x], [float(t)] * 2, [Pass(Words("a")), Pass(Words("b"))])
        x = scheduler.step((n + 2.5 * (c - n))[None], t, x[None], return_dict=False)[0][0]
    ours = Studio(exact).generate(Recipe("a", "b", seed=6, steps=12, scale=2.5, sampler=sampler)).latents
    torch.testing.assert_close(ours, x, rtol=0, atol=1e-6)


@pytest.mark.parametrize("sampler", THEIRS)
def test_the_fewest_and_the_most_steps_end_where_they_should(sampler: str) -> None:
    """One step ends at the mean. Of a thousand whole timesteps the first stands there twice, and must not be skipped."""
    studio, noise = Studio(flow(MATCHED)), torch.randn(3, generator=torch.Generator().manual_seed(1))
    for steps, expected in ((1, torch.ones(3)), (1000, 1 + 1.2 * noise)):
        point = studio.generate(Recipe("c", seed=1, steps=steps, scale=1, sampler=sampler)).latents.flatten()
        torch.testing.assert_close(point, expected, rtol=0, atol=0.02)


def test_samplers_without_a_flow_form_are_refused_in_a_sentence() -> None:
    studio = Studio(Exact(THREE, prediction="flow_prediction"))
    for sampler in SAMPLERS.keys() - THEIRS.keys():
        words = f"sampler: '{sampler}' was given; allowed with this model, which predicts a flow: euler, heun, dpmpp_2m, unipc"
        with pytest.raises(InputError, match=words):
            studio.generate(Recipe("a", sampler=sampler, steps=3))


@pytest.mark.parametrize("sampler", [None, "euler", "euler_a"])
def test_a_rule_without_a_flow_form_is_refused_in_a_sentence(sampler: str | None) -> None:
    words = "rule: 'dng' was given; it does not run on models that predict a flow, as 'mixture-"
    with pytest.raises(InputError, match=words):
        Studio(flow(MATCHED)).generate(Recipe("a", "b", rule="dng", sampler=sampler, steps=3))


def test_samplers_that_cannot_step_along_clean_latents_are_refused_in_a_sentence() -> None:
    exact, recipe = Exact(THREE), Recipe("a", "b", seed=6, steps=3, scale=2.0)
    exact.scheduler = {**exact.scheduler, "prediction_type": "sample"}
    studio = Studio(exact)
    able = ["euler", "heun", "ddim", "dpmpp_2m", "dpmpp_2m_karras", "unipc", "lcm"]
    for sampler in able:
        assert studio.generate(recipe.replace(sampler=sampler)).latents.isfinite().all()
    for sampler in SAMPLERS.keys() - set(able):
        words = f"'{sampler}' was given; allowed with this model, which predicts clean latents: {', '.join(able)}"
        with pytest.raises(InputError, match=words):
            studio.generate(recipe.replace(sampler=sampler))
    assert studio.generate(recipe).receipt.recipe.sampler == "euler"


def test_a_prediction_that_nobody_knows_is_refused_in_a_sentence() -> None:
    exact = Exact(THREE)
    exact.scheduler = {**exact.scheduler, "prediction_type": "epsilom"}
    with pytest.raises(InputError, match=r"model: it predicts 'epsilom'; did you mean 'epsilon'\? allowed: epsilon, v_"):
        Studio(exact).generate(Recipe("a", steps=3))


@pytest.mark.parametrize("name", [name for name, kind in RULES.items() if kind.space != "velocity"])
def test_a_rule_says_the_same_of_noise_and_of_a_flow(name: str) -> None:
    """At one level of noise the clean points are one; the velocities are not, nor is what is made of their lengths."""
    share, rule = 0.4, build(Recipe(rule=name, scale=4.0, sampler=getattr(RULES[name], "samplers", ("euler",))[0]))
    size = (share**2 + (1 - share) ** 2) ** 0.5
    latents = torch.randn((3, 1, 1), generator=torch.Generator().manual_seed(2))
    acting = (Active("negative 0", 0.7),)
    paths = {
        "noise": (latents / size, Moment(2, 10, acting, alpha=(1 - share) / size, sigma=share / size)),
        "velocity": (latents, Moment(2, 10, acting, alpha=1 - share, sigma=share, flow=True)),
    }
    ends = []
    for native, (seen, now) in paths.items():
        worse = THREE.only("a,c")
        mixtures = {
            "positive": THREE.only("a"),
            "nothing": THREE,
            "negative 0": THREE.only("b"),
            "worse": worse,
            "weaker": worse,
        }
        given = {LATENTS: seen}
        for one in rule.passes(now):
            point = seen.flatten()[None].double().numpy(), now.alpha, now.sigma
            noise = mixtures[one].noise(*point)
            said = noise if native == "noise" else noise - mixtures[one].clean(*point)
            given[one] = convert(torch.from_numpy(said).float().reshape(3, 1, 1), seen, now, native, rule.space)  # type: ignore[arg-type]
        guided = convert(rule.combine(given, now, {}), seen, now, rule.space, native)  # type: ignore[arg-type]
        ends.append(to_x0(guided, seen, now, native))  # type: ignore[arg-type]
    torch.testing.assert_close(*ends, rtol=0, atol=1e-4)


def test_reuse_adds_the_same_velocity_at_every_step_from_the_first() -> None:
    """At the first step alpha is 0, where noise differs by nothing."""
    rule, memory, steps = build(Recipe(rule="cfg", scale=3.0, wrappers=("reuse:every=4",))), {}, 4
    generator = torch.Generator().manual_seed(5)
    latents, c, u = torch.randn((3, 3, 2, 2), generator=generator)
    for step in range(steps):
        now = Moment(step, steps, alpha=step / steps, sigma=1 - step / steps, flow=True)
        velocities = {POSITIVE: c + step, NOTHING: u}
        given = {name: convert(velocities[name], latents, now, "velocity", rule.space) for name in rule.passes(now)}
        guided = convert(rule.combine(given | {LATENTS: latents}, now, memory), latents, now, rule.space, "velocity")
        torch.testing.assert_close(guided - velocities[POSITIVE], 2 * (c - u), rtol=0, atol=1e-5)


def test_reuse_adds_the_same_noise_where_there_is_no_flow() -> None:
    rule, memory = build(Recipe(rule="cfg", scale=3.0, wrappers=("reuse:every=4",))), {}
    generator = torch.Generator().manual_seed(5)
    latents, c, u = torch.randn((3, 3, 2, 2), generator=generator)
    for step, sigma in enumerate((0.998, 0.9, 0.6, 0.1)):
        now = Moment(step, 4, alpha=(1 - sigma**2) ** 0.5, sigma=sigma)
        noises = {POSITIVE: c + step, NOTHING: u}
        given = {name: convert(noises[name], latents, now, "noise", rule.space) for name in rule.passes(now)}
        guided = convert(rule.combine(given | {LATENTS: latents}, now, memory), latents, now, rule.space, "noise")
        torch.testing.assert_close(guided - noises[POSITIVE], 2 * (c - u), rtol=0, atol=1e-5)


def test_of_pure_noise_a_ten_thousandth_counts_as_the_picture() -> None:
    latents, noise = torch.randn((2, 3, 1, 1), generator=torch.Generator().manual_seed(3))
    for flow in (False, True):
        now = Moment(0, 10, alpha=0.0, sigma=1.0, flow=flow)
        torch.testing.assert_close(to_x0(noise, latents, now, "noise"), (latents - noise) * 1e4)


@pytest.mark.parametrize(
    "given", [{"rule": "sld"}, {"rule": "sega"}, {"rule": "ccfg"}, {"rule": "crg"}, {"wrappers": ("reuse:every=1",)}]
)
def test_rules_that_work_on_noise_are_heard_where_there_is_nothing_else(given: dict[str, Any]) -> None:
    """At the first step of a flow alpha is 0, and without a negative these are cfg."""
    studio, recipe = Studio(flow(MATCHED)), Recipe("a", seed=6, steps=2, scale=2.5, sampler="euler")
    torch.testing.assert_close(
        studio.generate(recipe.replace(**given)).latents, studio.generate(recipe).latents, rtol=0, atol=1e-2
    )
