"""The baseline that guidance moves away from: what is predicted under nothing, moved by the negatives.

    baseline = u + sum_i w_i (n_i - u)

u is the prediction under nothing, n_i that under each negative that acts at this step, w_i its weight. Where the weights sum
to one, u cancels and its pass is not asked for: one negative of weight 1 stands in the place of nothing.
"""

from __future__ import annotations

from typing import Any

from negativa.plain.passes import NOTHING, Moment
from negativa.rules.rule import Predictions


def baseline_passes(moment: Moment) -> tuple[str, ...]:
    """The names of the passes that `baseline` will read: never the positive one."""
    names = tuple(negative.name for negative in moment.negatives)
    return names if _replaces_nothing(moment) else (NOTHING, *names)


def baseline(predictions: Predictions, moment: Moment) -> Any:
    """The prediction to move away from; affine with coefficients that sum to one, so the same in any space."""
    if _replaces_nothing(moment):
        return sum(negative.weight * predictions[negative.name] for negative in moment.negatives)
    u = predictions[NOTHING]
    return u + sum(negative.weight * (predictions[negative.name] - u) for negative in moment.negatives)


def _replaces_nothing(moment: Moment) -> bool:
    """Whether the weights sum to one, so that u cancels out of the baseline."""
    return bool(moment.negatives) and sum(negative.weight for negative in moment.negatives) == 1
