"""The field's names for samplers, and the scheduler of diffusers that each one is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from negativa.errors import InputError, nearest


@dataclass(frozen=True)
class Sampler:
    """A scheduler class of diffusers and the settings that make it this sampler, whatever a model's configuration says of them.

    `label` is the name others write into picture files. `evaluations` is how often a step asks the network. `flow` is the
    scheduler class for models that predict a flow, None where diffusers has none that is this sampler. `clean` says whether
    it runs on models that predict the clean latents.
    """

    scheduler: str
    label: str
    settings: Mapping[str, Any]
    evaluations: int = 1
    flow: str | None = None
    clean: bool = True


PLAIN: Final = {"use_karras_sigmas": False}
TWO_M: Final = {"algorithm_type": "dpmsolver++"}

SAMPLERS: Final[dict[str, Sampler]] = {
    "euler_a": Sampler("EulerAncestralDiscreteScheduler", "Euler a", {}, clean=False),
    "euler": Sampler("EulerDiscreteScheduler", "Euler", PLAIN, flow="FlowMatchEulerDiscreteScheduler"),
    "heun": Sampler("HeunDiscreteScheduler", "Heun", PLAIN, evaluations=2, flow="FlowMatchHeunDiscreteScheduler"),
    "ddim": Sampler("DDIMScheduler", "DDIM", {"clip_sample": False}),  # which is for pixels
    "dpmpp_2m": Sampler("DPMSolverMultistepScheduler", "DPM++ 2M", {**PLAIN, **TWO_M}, flow="DPMSolverMultistepScheduler"),
    "dpmpp_2m_karras": Sampler("DPMSolverMultistepScheduler", "DPM++ 2M Karras", {"use_karras_sigmas": True, **TWO_M}),
    "dpmpp_sde": Sampler("DPMSolverSDEScheduler", "DPM++ SDE", PLAIN, evaluations=2, clean=False),
    "unipc": Sampler("UniPCMultistepScheduler", "UniPC", PLAIN, flow="UniPCMultistepScheduler"),
    "lcm": Sampler("LCMScheduler", "LCM", {}),
}


#: Says in the configuration of a flow's schedule that its steps are even before they are shifted: 1, 1 - 1/n, ..., 1/n.
EVENLY: Final = "evenly"
#: The sampler of a recipe that leaves it open, unless model or rule want another.
USUAL: Final = "euler_a"


def known(name: str) -> str:
    """The name itself. Raises `InputError` if no sampler has it."""
    if name not in SAMPLERS:
        raise InputError(f"sampler: there is no sampler {name!r}; {nearest(name, SAMPLERS)}")
    return name


def evaluations(name: str, steps: int) -> int:
    """How often a walk asks the network; a sampler of two evaluations takes its last step with one."""
    each = SAMPLERS[name].evaluations
    return steps * each - (each - 1)
