"""What a rule is: which passes a step needs, and how their predictions combine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol

from negativa.plain.passes import Moment, Patch

Predictions = Mapping[str, Any]  # name of a pass -> tensor (channels, height, width), float32
Memory = dict[str, Any]  # what a rule remembers from step to step; one for each image, owned by its walk


Space = Literal["any", "noise", "x0", "velocity"]


class Rule(Protocol):
    """Arithmetic on named predictions; a frozen dataclass whose fields are its scale and its knobs.

    A rule that acts inside the network has `patches(moment)` too, see `patches_of`.

    `space` is what it wants predictions to be of: the noise, the clean latents (x0), the velocity (alpha noise - sigma
    x0, on a flow's path noise - x0); or any of them, where the combination is affine with coefficients that sum to one.
    The walk converts.
    """

    @property
    def space(self) -> Space: ...

    def passes(self, moment: Moment) -> tuple[str, ...]:
        """The names of the passes that `combine` will read at this moment."""
        ...

    def combine(self, predictions: Predictions, moment: Moment, memory: Memory) -> Any:
        """The guided prediction, of the same shape; the inputs are left as they were."""
        ...


def patches_of(rule: Rule, moment: Moment) -> Mapping[str, Patch]:
    """What a rule changes inside the network at this moment, by name of pass; most rules change nothing.

    Those that do have `patches(moment)`, whose names are names of passes that `passes` names.
    """
    patches = getattr(rule, "patches", None)
    return patches(moment) if patches else {}
