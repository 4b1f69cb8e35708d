"""Which negatives a rule hears at all, found by asking it: the formulas stay in one place."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from negativa.plain.passes import LATENTS, Moment
from negativa.rules.rule import Rule, patches_of

SHAPE = (2, 4, 4)
NEAR = (100.0, 10.0, 1.0, 0.1, 0.01)  # how far made-up predictions are from one another: some rules have thresholds


@lru_cache(maxsize=1024)
def heard(rule: Rule, moments: tuple[Moment, ...]) -> frozenset[str]:
    """The names of the negatives that change what a rule makes of a walk's moments; the others act at no step of it.

    A negative that is read inside attention is heard. Of any other, the rule is given made-up predictions (float64), twice with
    a difference in that negative alone: if what comes out is the same at every step, it is not heard.
    """
    names = dict.fromkeys(one.name for moment in moments for one in moment.negatives)
    inside = {str(name) for moment in moments for patch in patches_of(rule, moment).values() for name, _ in patch.against}
    return frozenset(name for name in names if name in inside or any(_differs(rule, moments, name, near) for near in NEAR))


def _differs(rule: Rule, moments: tuple[Moment, ...], negative: str, near: float) -> bool:
    import torch

    generator = torch.Generator().manual_seed(0)

    def drawn() -> torch.Tensor:
        return torch.randn(SHAPE, generator=generator, dtype=torch.float64)

    memories: tuple[dict[str, Any], dict[str, Any]] = {}, {}
    for moment in moments:
        wanted = rule.passes(moment)
        common = drawn()
        given = {LATENTS: drawn()} | {name: common + near * drawn() for name in wanted}
        both = [given | {negative: common + near * drawn()} for _ in memories]
        one, other = (rule.combine(values, moment, memory) for values, memory in zip(both, memories, strict=True))
        if not torch.equal(one, other):
            return True
    return False
