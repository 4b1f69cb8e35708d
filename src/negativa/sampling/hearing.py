"""What a rule hears at all, found by asking it: the formulas stay in one place."""

from __future__ import annotations

from collections.abc import Iterator
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
    return frozenset(name for name in names if name in inside or matters(rule, moments, name))


@lru_cache(maxsize=1024)
def matters(rule: Rule, moments: tuple[Moment, ...], name: str) -> bool:
    """Whether the prediction of a pass, were it another, would change what the rule makes of any of these moments."""
    for near in NEAR:
        memories: tuple[dict[str, Any], dict[str, Any]] = {}, {}
        for moment, given, other in _made_up(rule, moments, near):
            both = (given, given | {name: other} if name in given else given)
            one, two = (rule.combine(values, moment, memory) for values, memory in zip(both, memories, strict=True))
            if not one.equal(two):
                return True
    return False


@lru_cache(maxsize=1024)
def alike(one: Rule, two: Rule, moments: tuple[Moment, ...]) -> bool:
    """Whether two rules ask the same of the network at these moments, and make the same of what it predicts."""
    for moment in moments:
        asked = ((set(rule.passes(moment)), dict(patches_of(rule, moment))) for rule in (one, two))
        if next(asked) != next(asked):
            return False
    for near in NEAR:
        memories: tuple[dict[str, Any], dict[str, Any]] = {}, {}
        for moment, given, _ in _made_up(one, moments, near):
            made = (rule.combine(given, moment, memory) for rule, memory in zip((one, two), memories, strict=True))
            if not next(made).allclose(next(made), rtol=1e-9, atol=1e-9 * near):
                return False
    return True


def _made_up(rule: Rule, moments: tuple[Moment, ...], near: float) -> Iterator[tuple[Moment, dict[str, Any], Any]]:
    """For each moment, predictions of the passes that the rule reads there, so far from one another, and one more."""
    import torch

    generator = torch.Generator().manual_seed(0)

    def drawn() -> torch.Tensor:
        return torch.randn(SHAPE, generator=generator, dtype=torch.float64)

    for moment in moments:
        common = drawn()
        given = {LATENTS: drawn()} | {name: common + near * drawn() for name in rule.passes(moment)}
        yield moment, given, common + near * drawn()
