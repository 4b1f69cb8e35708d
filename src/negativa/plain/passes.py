"""Runs of the network, told apart by name, and the moment they are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from negativa.plain.conditions import Condition

POSITIVE: Final = "positive"
NOTHING: Final = "nothing"
WORSE: Final = "worse"  # the positive one with a patch that makes the network worse
WEAKER: Final = "weaker"  # the positive one through a weaker model
LATENTS: Final = "latents"  # beside the predictions: the noisy latents that the network saw


def negative(index: int) -> str:
    """The name of the pass of the recipe's negative number `index`, counted from 0."""
    return f"negative {index}"


@dataclass(frozen=True)
class Patch:
    """A change to the network's inside for one pass: its name in the table of patches, and its numbers by name.

    `against` are conditions that it reads beside the pass's own, with their weights; a rule, which knows conditions by
    the names of their passes only, says those names. `rows` counts the rows of the network that it needs beside the pass's,
    not what it reads beside its text in a row.
    """

    name: str
    numbers: tuple[tuple[str, float], ...] = ()
    against: tuple[tuple[Condition | str, float], ...] = ()
    rows: int = 0


@dataclass(frozen=True)
class Pass:
    """One run of the network: what it is conditioned on, what is changed inside, and the model's name if it is another.

    `room` is how many chunks its texts take: those of one recipe take equally many. `loras` are the LoRA files that change the
    network, each with its weight, never 0. `distilled_scale` is what the network is told of guidance, if it was distilled from
    it.
    """

    condition: Condition
    patches: tuple[Patch, ...] = ()
    model: str | None = None
    room: int = 1
    loras: tuple[tuple[str, float], ...] = ()
    distilled_scale: float | None = None

    @property
    def rows(self) -> int:
        """How many rows of the network the pass takes."""
        return 1 + sum(patch.rows for patch in self.patches)


@dataclass(frozen=True)
class Active:
    """A negative that acts at this moment: the name of its pass, and its weight (never 0)."""

    name: str
    weight: float


@dataclass(frozen=True)
class Moment:
    """Where a walk stands: `step` of `steps`, counted from 0, and the negatives that act now.

    A sampler that asks twice in a step has `evaluation` 0, then 1. The latents that the network sees are `alpha` times
    the clean ones plus `sigma` times unit noise, alpha^2 + sigma^2 = 1, or alpha + sigma = 1 on the straight path of a
    `flow`; `after` is alpha and sigma at the end of the step.
    """

    step: int
    steps: int
    negatives: tuple[Active, ...] = ()
    evaluation: int = 0
    alpha: float = 1.0
    sigma: float = 0.0
    flow: bool = False
    after: tuple[float, float] = (1.0, 0.0)
