"""What rules start from: a baseline that the negatives move, or nothing, with the negatives measured from there.

    baseline = u + sum_i w_i (n_i - u)

u is the prediction under nothing, n_i that under each negative that acts at this step, w_i its weight. Where the weights sum
to one, u cancels and its pass is not asked for: one negative of weight 1 stands in the place of nothing. Rules that measure
everything from nothing always ask for it where a negative acts.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from negativa.plain.passes import NOTHING, POSITIVE, Moment
from negativa.rules.rule import Predictions


def baseline_passes(moment: Moment) -> tuple[str, ...]:
    """The names of the passes that `baseline` will read: never the positive one."""
    names = tuple(negative.name for negative in moment.negatives)
    return names if sums_to_one(one.weight for one in moment.negatives) else (NOTHING, *names)


def baseline(predictions: Predictions, moment: Moment) -> Any:
    """The prediction to move away from; affine with coefficients that sum to one, so the same in any space."""
    if sums_to_one(one.weight for one in moment.negatives):
        return sum(negative.weight * predictions[negative.name] for negative in moment.negatives)
    u = predictions[NOTHING]
    return u + sum(negative.weight * (predictions[negative.name] - u) for negative in moment.negatives)


def passes_from_baseline(moment: Moment, scale: float) -> tuple[str, ...]:
    """The passes of a rule that moves from the baseline to the prompt; it says so by `from_baseline`."""
    return (POSITIVE,) if scale == 1 else (POSITIVE, *baseline_passes(moment))


def passes_from_nothing(moment: Moment, scale: float) -> tuple[str, ...]:
    """The passes of a rule that measures everything from nothing."""
    if scale == 1 and not moment.negatives:
        return (POSITIVE,)
    return (POSITIVE, NOTHING, *(negative.name for negative in moment.negatives))


def without_negatives(predictions: Predictions, moment: Moment, scale: float) -> Any:
    """u + s (c - u), what such a rule gives before its negatives; c itself at scale 1 where none acts."""
    if scale == 1 and not moment.negatives:
        return predictions[POSITIVE]
    return predictions[NOTHING] + scale * (predictions[POSITIVE] - predictions[NOTHING])


def sums_to_one(weights: Iterable[float]) -> bool:
    """Whether weights sum to one in any order of adding, so that what they are measured from cancels."""
    return abs(sum(weights) - 1) < 1e-9
