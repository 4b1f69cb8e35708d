"""What a rule is: which passes a step needs, and how their predictions combine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, Protocol

from negativa.plain.passes import Moment, Patch

Predictions = Mapping[str, Any]  # name of a pass -> tensor (channels, height, width), float32
#: What a rule remembers from step to step; one for each image, owned by its walk. What it remembers of a negative goes by a
#: name that ends in " of " and the name of the pass, and is forgotten when other words stand behind that.
Memory = dict[str, Any]


Space = Literal["any", "noise", "x0", "velocity"]


class Rule(Protocol):
    """Arithmetic on named predictions; a frozen dataclass whose fields are its scale and its knobs.

    A rule that acts inside the network has `patches(moment)` too, see `patches_of`; one that moves away from a baseline which
    the negatives move has `from_baseline`, see `start_of`.

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


def start_of(rule: Rule, moment: Moment) -> Moment:
    """The moment as `baseline` must see it to give what a rule moves away from now: nothing, without any negative, for most."""
    rule, seen = bare(rule, moment)
    read = getattr(rule, "from_baseline", False) and all(one.name in rule.passes(seen) for one in seen.negatives)
    return seen if read else replace(seen, negatives=())


def bare(rule: Rule, moment: Moment) -> tuple[Rule, Moment]:
    """The rule inside all wrappers as it stands at this moment, and the moment as it sees it."""
    while within := getattr(rule, "within", None):
        rule, moment = within(moment)
    return rule, moment


def patches_of(rule: Rule, moment: Moment) -> Mapping[str, Patch]:
    """What a rule changes inside the network at this moment, by name of pass; most rules change nothing.

    Those that do have `patches(moment)`, whose names are names of passes that `passes` names.
    """
    patches = getattr(rule, "patches", None)
    return patches(moment) if patches else {}
