"""What a network predicts, said in other words: the noise, the clean latents (x0), or the velocity.

    x_t  = alpha x0 + sigma noise       v = p noise - q x0       alpha p + sigma q = 1
    p, q = alpha, sigma                 where alpha^2 + sigma^2 = 1
    p, q = 1, 1                         on the straight path of a flow, where alpha + sigma = 1

Salimans & Ho 2022, arXiv 2202.00512, appendix D; Liu, Gong & Liu 2022, arXiv 2209.03003, equation 1, whose time runs the
other way. At alpha 0 noise says nothing about x0, at sigma 0 nothing shows of the noise: either counts as `LEAST` at
least, there and back, so that what is said in another space can be said back.
"""

from __future__ import annotations

from typing import Any, Final

from negativa.plain.passes import LATENTS, Moment
from negativa.rules.rule import Memory, Predictions, Rule, Space

LEAST: Final = 1e-4


def to_x0(prediction: Any, latents: Any, moment: Moment, space: Space) -> Any:
    """The clean latents that a prediction of `space` means, given the noisy ones."""
    alpha, sigma, (p, _) = *_levels(moment), _path(moment)
    if space == "noise":
        return (latents - sigma * prediction) / alpha
    return p * latents - sigma * prediction if space == "velocity" else prediction


def from_x0(x0: Any, latents: Any, moment: Moment, space: Space) -> Any:
    """The prediction of `space` that means these clean latents, given the noisy ones."""
    alpha, sigma, (p, _) = *_levels(moment), _path(moment)
    if space == "noise":
        return (latents - alpha * x0) / sigma
    return (p * latents - x0) / sigma if space == "velocity" else x0


def convert(prediction: Any, latents: Any, moment: Moment, source: Space, target: Space) -> Any:
    """A prediction of one space as one of another; "any" is whichever it is."""
    if source == target or "any" in (source, target):
        return prediction
    if {source, target} == {"noise", "velocity"}:  # the shorter way, which keeps more digits
        alpha, (_, q) = _levels(moment)[0], _path(moment)
        if source == "velocity":
            return alpha * prediction + q * latents
        return (prediction - q * latents) / alpha
    return from_x0(to_x0(prediction, latents, moment, source), latents, moment, target)


def combine_in(space: Space, rule: Rule, predictions: Predictions, moment: Moment, memory: Memory) -> Any:
    """What `rule` makes of predictions of `space`, in that space: for a wrapper whose space is not the rule's."""
    if rule.space in (space, "any"):
        return rule.combine(predictions, moment, memory)
    latents = predictions[LATENTS]
    names = [name for name in rule.passes(moment) if name in predictions]
    given = {name: convert(predictions[name], latents, moment, space, rule.space) for name in names}
    guided = rule.combine(given | {LATENTS: latents}, moment, memory)
    return convert(guided, latents, moment, rule.space, space)


def _levels(moment: Moment) -> tuple[float, float]:
    """Alpha and sigma, neither of them 0."""
    return max(moment.alpha, LEAST), max(moment.sigma, LEAST)


def _path(moment: Moment) -> tuple[float, float]:
    """p and q of the velocity."""
    return (1.0, 1.0) if moment.flow else (moment.alpha, moment.sigma)
