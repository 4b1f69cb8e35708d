"""What is baked: predictions of the frozen model, put together, that the student is to make of its prompt alone.

    negative    t = n + s (c - n)     what guidance makes of a prompt c, a negative n and the scale s
    erase       t = u - (e - u)       the concept e turned round: what its prompt draws is led away from it
    slider      t = c + (e - u)       the concept added to any prompt

At weight w the student is to make c + w (t - c): a slider learns that at 1 and -1, where the concept is taken away, and a
negative of any scale at every w up to 1, which is guidance at the scale 1 + w (s - 1). c, n, e, u are predictions under the
prompt, the negative, the concept and under nothing. The first is guidance distillation (Meng et al. 2023, arXiv 2210.03142,
whose w is our s - 1) with the negative where the paper has nothing, on the model's own trajectories, the scale put in as the
weight of a LoRA; the second ESD (Gandikota et al. 2023, arXiv 2303.07345) with eta 1; the third a concept slider (Gandikota et
al. 2023, arXiv 2311.12092) with eta 1. All are affine with coefficients that sum to one, so the same in any prediction space.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from torch import Tensor

from negativa.errors import InputError, nearest
from negativa.plain.knobs import KNOBS
from negativa.plain.passes import NOTHING, POSITIVE, Pass, negative
from negativa.plain.recipe import Recipe
from negativa.training.conditions import condition_of

Kind = Literal["negative", "erase", "slider"]
KINDS: Final[dict[Kind, str]] = {
    "negative": "guidance with a negative",
    "erase": "a concept that is no longer drawn",
    "slider": "a concept that is drawn more above weight 0, less below",
}
CONCEPT: Final = "concept"  # the pass that a slider's target reads beside those of its walk


@dataclass(frozen=True)
class Goal:
    """`text` is the negative (empty is nothing) or the concept; `scale` is that of guidance, the model's own if None.

    Only a negative has a scale; it may learn `any_scale` from 1 to that one, which the LoRA's weight then chooses. Raises
    `InputError` for an unknown kind, a concept without words, and a scale of 1, at which there is nothing to learn.
    """

    kind: Kind
    text: str
    scale: float | None = None
    any_scale: bool = False

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(f"goal: {self.kind!r} was given; {nearest(str(self.kind), KINDS)}")
        if self.kind != "negative" and not self.text.strip():
            raise InputError(f"{self.kind}: {self.text!r} was given; allowed: a concept in words")
        if self.kind != "negative" and self.scale is not None:
            raise InputError(f"scale: {self.scale:g} was given with {self.kind!r}; allowed with a negative")
        if self.kind != "negative" and self.any_scale:
            raise InputError(f"any_scale: given with {self.kind!r}; allowed with a negative")
        KNOBS["scale"].check("scale", self.scale)
        if self.scale == 1:
            raise InputError("scale: 1 was given, the prompt alone, which one pass does already; allowed: any other")

    def weight(self, rng: np.random.Generator) -> float:
        """A weight of the LoRA to learn at."""
        if self.any_scale:
            return 1 - float(rng.random())  # never 0, at which nothing is learned
        return float(rng.choice((1, -1))) if self.kind == "slider" else 1.0

    def recipe(self, prompt: str, seed: int, like: Recipe) -> Recipe:
        """What walks where the student will: guided by the negative, or as usual; else `like` that recipe."""
        negative = (self.text,) if self.kind == "negative" else ()
        return like.replace(prompt=prompt, negative=negative, seed=seed, scale=self.scale, rule="cfg")

    def beside(self, room: int) -> dict[str, Pass]:
        """The passes that the target reads beside those of the walk, with texts of `room` chunks."""
        return {CONCEPT: Pass(condition_of(self.kind, self.text), room=room)} if self.kind == "slider" else {}

    def target(self, predictions: Mapping[str, Tensor], scale: float) -> Tensor:
        """What is to be learned at one place for weight 1, (channels, height, width)."""
        c, u = predictions[POSITIVE], predictions.get(NOTHING)
        match self.kind:
            case "negative":
                n = predictions.get(negative(0), u)
                assert n is not None
                return n + scale * (c - n)
            case "erase":
                assert u is not None
                return u - (c - u)
            case "slider":
                assert u is not None
                return c + predictions[CONCEPT] - u
