"""Runs of the network, told apart by name, and the moment they are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from negativa.plain.conditions import Condition

POSITIVE: Final = "positive"
NOTHING: Final = "nothing"
LATENTS: Final = "latents"  # beside the predictions: the noisy latents that the network saw


def negative(index: int) -> str:
    """The name of the pass of the recipe's negative number `index`, counted from 0."""
    return f"negative {index}"


@dataclass(frozen=True)
class Pass:
    """One run of the network: what it is conditioned on."""

    condition: Condition


@dataclass(frozen=True)
class Active:
    """A negative that acts at this moment: the name of its pass, and its weight (never 0)."""

    name: str
    weight: float


@dataclass(frozen=True)
class Moment:
    """Where a walk stands: `step` of `steps`, counted from 0, and the negatives that act now.

    A sampler that asks twice in a step has `evaluation` 0, then 1. The latents that the network sees are `alpha` times
    the clean ones plus `sigma` times unit noise, alpha^2 + sigma^2 = 1; `timestep` is the share (0 to 1) of the way from
    clean to noise; before a walk begins they are not known, and stand as if there were no noise.
    """

    step: int
    steps: int
    negatives: tuple[Active, ...] = ()
    evaluation: int = 0
    alpha: float = 1.0
    sigma: float = 0.0
    timestep: float = 0.0
