"""Dynamic thresholding: guided clean latents are brought back into the range of the prompt's own, channel by channel.

    reach_c = max |c - mean(c)|
    reach_g = max(reach_c, quantile_p |g - mean(g)|)
    guided  = mean(g) + clamp(g - mean(g), -reach_g, reach_g) reach_c / reach_g

g is the x0 that the rule predicts, c the one under the prompt, p the `percentile`; means, quantiles and reaches are one for
each channel. Saharia et al. 2022, arXiv 2205.11487, section 2.3, where reach_c is 1, the range of pixels. Latents have no such
range: mcmonkey's extension of that name takes it, about the mean, from guidance at a lower scale, here scale 1, the prompt
alone. Space: x0. Cost: that of the rule.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from negativa.plain.knobs import knob
from negativa.plain.passes import POSITIVE, Moment
from negativa.rules.rule import Memory, Predictions, Space
from negativa.rules.spaces import combine_in
from negativa.rules.wrapper import Wrapper


@dataclass(frozen=True)
class Threshold(Wrapper):
    """`rule` within the range of the prompt's prediction."""

    percentile: float = knob(0.995, 0.5, 1.0, "Share of the values that set the range; those beyond are clipped.")

    works_in: ClassVar[Space] = "x0"

    def combine(self, predictions: Predictions, moment: Moment, memory: Memory) -> Any:
        guided, positive = combine_in(self.space, self.rule, predictions, moment, memory), predictions[POSITIVE]
        mean, g = _centred(guided)
        _, c = _centred(positive)
        reach_c = c.abs().amax(dim=1, keepdim=True)
        reach_g = g.abs().quantile(self.percentile, dim=1, keepdim=True).maximum(reach_c).clamp(min=1e-12)
        return (mean + g.clamp(-reach_g, reach_g) * (reach_c / reach_g)).reshape(guided.shape)


def _centred(x: Any) -> tuple[Any, Any]:
    """The mean of every channel of x (channels, height, width), and x about it, (channels, height * width)."""
    flat = x.flatten(1)
    mean = flat.mean(dim=1, keepdim=True)
    return mean, flat - mean
