"""Steps along predictions, taken by the schedulers of diffusers."""

from __future__ import annotations

import copy
import inspect
import json
from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from negativa.errors import InputError, nearest
from negativa.plain.samplers import EVENLY, SAMPLERS
from negativa.rules.rule import Space
from negativa.sampling import noise

if TYPE_CHECKING:
    import torch


#: What a model that is no flow predicts, in a scheduler's words and in ours.
NATIVE: Final[dict[str, Space]] = {"epsilon": "noise", "v_prediction": "velocity", "sample": "x0"}


#: The field that says a schedule is to end in no signal at all (Lin et al. 2024, arXiv 2305.08891).
ZERO_SNR: Final = "rescale_betas_zero_snr"


class Level(NamedTuple):
    """What a `Moment` says of noise."""

    alpha: float
    sigma: float
    flow: bool
    after: tuple[float, float]


class Steps:
    """One image's scheduler, with its timesteps set: scales what the network sees, and takes steps."""

    def __init__(self, name: str, config: Mapping[str, Any], steps: int, generator: torch.Generator) -> None:
        kind, _ = scheduler_of(name, config)
        if "noise_sampler_seed" in _parameters(kind.__init__):
            self._scheduler = _made(name, config, steps, noise_sampler_seed=noise.brownian_seed(generator))
        else:
            self._scheduler = _copied(_shared(name, json.dumps(dict(config)), steps))
        self._flow = is_flow(config)
        self._takes_generator = "generator" in _parameters(kind.step)
        self._generator = generator
        self.timesteps: torch.Tensor = self._scheduler.timesteps

    def first(self, start: torch.Tensor) -> torch.Tensor:
        """Start noise at the size this sampler begins with."""
        return start * getattr(self._scheduler, "init_noise_sigma", 1.0)

    def seen(self, latents: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
        """What the network sees of the latents."""
        scale = getattr(self._scheduler, "scale_model_input", None)
        return scale(latents, timestep) if scale else latents

    def level(self, timestep: torch.Tensor) -> Level:
        """How much noise there is now; asked after `seen`."""
        return Level(*self._now(timestep), self._flow, self._after(timestep))

    def _now(self, timestep: torch.Tensor) -> tuple[float, float]:
        """How much signal and noise the network sees."""
        scheduler = self._scheduler
        if not hasattr(scheduler, "sigmas"):
            return _of_signal(float(scheduler.alphas_cumprod[int(timestep)]))
        ratio = float(scheduler.sigmas[scheduler.step_index or 0])
        if not getattr(scheduler, "state_in_first_order", True) and hasattr(scheduler, "mid_point_sigma"):
            ratio = float(scheduler.mid_point_sigma)
        return self._of_ratio(ratio)

    def _after(self, timestep: torch.Tensor) -> tuple[float, float]:
        """How much signal and noise the latents hold after the step that this evaluation belongs to."""
        scheduler = self._scheduler
        if hasattr(scheduler, "sigmas"):
            return self._of_ratio(float(scheduler.sigmas[(scheduler.step_index or 0) + 1]))
        if hasattr(scheduler, "step_index"):  # LCM: on to the next of its timesteps, and to no noise after the last
            later = self.timesteps[self.timesteps < timestep]
            return _of_signal(float(scheduler.alphas_cumprod[later[0]]) if len(later) else 1.0)
        before = int(timestep) - scheduler.config.num_train_timesteps // scheduler.num_inference_steps  # as DDIM counts
        return _of_signal(float(scheduler.alphas_cumprod[before] if before >= 0 else scheduler.final_alpha_cumprod))

    def _of_ratio(self, ratio: float) -> tuple[float, float]:
        """Signal and noise at one of the scheduler's sigmas: noise itself on a flow's path, else noise beside signal of 1."""
        alpha = 1 - ratio if self._flow else (ratio**2 + 1) ** -0.5
        return alpha, ratio if self._flow else ratio * alpha

    def step(self, prediction: torch.Tensor, timestep: torch.Tensor, latents: torch.Tensor) -> torch.Tensor:
        """The latents after a step along a prediction; step noise comes from the image's own stream."""
        chance = {"generator": self._generator} if self._takes_generator else {}
        return self._scheduler.step(prediction, timestep, latents, **chance, return_dict=False)[0]


def levels(name: str, config: Mapping[str, Any], steps: int) -> tuple[Level, ...]:
    """How much noise there is at each evaluation of the network in so many steps of a sampler, whatever the image."""
    return _levels(name, json.dumps(dict(config)), steps)


@lru_cache(maxsize=64)
def _levels(name: str, config: str, count: int) -> tuple[Level, ...]:
    steps, found = Steps(name, json.loads(config), count, noise.stream(0)), list[Level]()
    latents = steps.first(noise.start(noise.stream(0), (1, 1, 1)))
    for timestep in steps.timesteps:
        seen = steps.seen(latents, timestep)
        found.append(steps.level(timestep))
        latents = steps.step(seen, timestep, latents)
    return tuple(found)


def check_steps(name: str, config: Mapping[str, Any], steps: int) -> None:
    """Raise `InputError` for a sampler that does not run on a model, and for a number of steps it cannot take there."""
    predicts(config)  # says itself what is wrong with a model
    scheduler_of(name, config)  # and this with a sampler
    try:
        scheduler = _shared(name, json.dumps(dict(config)), steps)
    except (ValueError, IndexError) as error:
        raise InputError(f"steps: {steps} was given; the sampler {name!r} says: {str(error).splitlines()[0]}") from error
    times, known = scheduler.timesteps, scheduler.config.num_train_timesteps
    if times.max() >= known + is_flow(config) or (steps > 1 and times.min() == times.max()):
        raise InputError(f"steps: {steps} was given; allowed: fewer, this model's schedule has {known} timesteps")


def _made(name: str, config: Mapping[str, Any], steps: int, **settings: Any) -> Any:
    """The scheduler that a sampler is on a model, with its timesteps set."""
    import numpy as np

    kind, own = scheduler_of(name, config)
    if config.get(ZERO_SNR) and ZERO_SNR not in _parameters(kind.__init__):
        own["trained_betas"] = _betas_to_zero(config)
    scheduler = kind.from_config({name: value for name, value in config.items() if name != EVENLY}, **own, **settings)
    if config.get(EVENLY) and "sigmas" in _parameters(kind.set_timesteps):
        scheduler.set_timesteps(sigmas=1 - np.arange(steps) / steps)
    else:
        if config.get(EVENLY) and hasattr(scheduler, "sigma_min"):
            scheduler.sigma_min = 1 / steps  # Heun goes there from 1 in even steps, and shifts them
        scheduler.set_timesteps(steps)
    if is_flow(config):
        scheduler.set_begin_index(0)  # a timestep cut to a whole number may stand there twice
    return scheduler


def _betas_to_zero(config: Mapping[str, Any]) -> list[float]:
    """The betas of a schedule that ends in no signal, for the schedulers of diffusers that cannot rescale them."""
    kept = scheduler_class("EulerDiscreteScheduler").from_config(config).alphas_cumprod.double()
    return [1 - float(after / before) for before, after in zip([1.0, *kept], kept, strict=False)]


@lru_cache(maxsize=64)
def _shared(name: str, config: str, steps: int) -> Any:
    """The same, made once for all images; `config` as JSON. No image takes steps with it, each does with a copy."""
    return _made(name, json.loads(config), steps)


def _copied(scheduler: Any) -> Any:
    """A copy that takes steps of its own: schedulers replace their tensors, and change nothing in place but lists."""
    copied = copy.copy(scheduler)
    vars(copied).update({name: list(value) for name, value in vars(scheduler).items() if isinstance(value, list)})
    return copied


@cache
def _parameters(function: Callable[..., Any]) -> frozenset[str]:
    return frozenset(inspect.signature(function).parameters)


def _of_signal(kept: float) -> tuple[float, float]:
    """Signal and noise where `kept` is the signal's share of the variance."""
    return kept**0.5, (1 - kept) ** 0.5


def is_flow(config: Mapping[str, Any]) -> bool:
    """Whether a model's scheduler configuration says that it predicts noise - x0, on the straight path of a flow."""
    return config.get("prediction_type") == "flow_prediction" or _matches_flow(config)


def predicts(config: Mapping[str, Any]) -> Space:
    """What a model predicts, by its scheduler configuration. Raises `InputError` if that is none of what we know."""
    kind = config.get("prediction_type", "epsilon")
    if is_flow(config):
        return "velocity"
    if kind not in NATIVE:
        raise InputError(f"model: it predicts {kind!r}; {nearest(str(kind), NATIVE)}")
    return NATIVE[kind]


def predicted(config: Mapping[str, Any]) -> str:
    """What a model predicts that not every sampler runs on, in words."""
    return "a flow" if is_flow(config) else "clean latents"


def samplers_on(config: Mapping[str, Any]) -> tuple[str, ...]:
    """The samplers that have a form for what a model predicts."""
    if is_flow(config):
        return tuple(name for name, one in SAMPLERS.items() if one.flow)
    return tuple(name for name, one in SAMPLERS.items() if one.clean or predicts(config) != "x0")


def scheduler_of(name: str, config: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The scheduler class of diffusers that a sampler is on a model, and its settings.

    Raises `InputError` if the sampler has no form for what the model predicts.
    """
    chosen, allowed = SAMPLERS[name], samplers_on(config)
    if name not in allowed:
        what = predicted(config)
        raise InputError(f"sampler: {name!r} was given; allowed with this model, which predicts {what}: {', '.join(allowed)}")
    if chosen.flow is None or not is_flow(config):
        return scheduler_class(chosen.scheduler), dict(chosen.settings)
    kind = scheduler_class(chosen.flow)
    shift = config.get("shift" if _matches_flow(config) else "flow_shift", 1.0)  # each family of schedulers has its word
    settings = {"shift": shift, "flow_shift": shift, "use_flow_sigmas": True, "prediction_type": "flow_prediction"}
    settings |= chosen.settings
    return kind, {name: value for name, value in settings.items() if name in _parameters(kind.__init__)}


def _matches_flow(config: Mapping[str, Any]) -> bool:
    return str(config.get("_class_name", "")).startswith("FlowMatch")


@cache
def scheduler_class(name: str) -> Any:
    """The scheduler class of diffusers of that name."""
    import diffusers

    return getattr(diffusers, name)
