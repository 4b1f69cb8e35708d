"""Adaptive projected guidance: a push of bounded length, without its part along the prompt's prediction, which oversaturates.

    m      = (c - b) + beta m'                           m' is the m of the step before
    m_r    = m min(1, r sqrt(N) / |m|)
    guided = c + (s - 1) (m_perp + eta m_par)            m_r split along c

c is the prediction under the prompt, b the baseline, which the negatives move: u + sum_i w_i (n_i - u); s is the scale, beta
the `momentum`, eta `parallel`, r the `radius`, N the number of elements. Sadat, Hilliges & Weber 2025, arXiv 2410.02416, whose
norm threshold is r sqrt(N) here: 15 on SDXL's latents of 4 x 128 x 128 is r = 0.0586, which means the same at any size. The
push starts at c: from b, as in some code, scale 1 would not give c. Space: x0, as the paper writes it; a split along c is
another one in any other space. Cost: 1 pass at scale 1, otherwise that of cfg.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from negativa.plain.knobs import knob
from negativa.plain.passes import POSITIVE, Moment
from negativa.rules.baseline import baseline, passes_from_baseline
from negativa.rules.rule import Memory, Predictions, Space


@dataclass(frozen=True)
class AdaptiveProjected:
    """`scale`: 1 is the prompt alone; it can be set higher than with cfg. All negatives act through the baseline."""

    scale: float
    parallel: float = knob(0.0, 0.0, 1.0, "Share kept of the push along the prompt's prediction; 1 keeps all of it.")
    radius: float = knob(0.06, 0.0, 1000.0, "Largest root mean square of the push (before the scale), in clean latents.")
    momentum: float = knob(-0.5, -0.99, 0.99, "How much of the last push is added; below zero it is taken off.")

    space: ClassVar[Space] = "x0"
    from_baseline: ClassVar[bool] = True

    def passes(self, moment: Moment) -> tuple[str, ...]:
        return passes_from_baseline(moment, self.scale)

    def combine(self, predictions: Predictions, moment: Moment, memory: Memory) -> Any:
        c, s, eta, beta = predictions[POSITIVE], self.scale, self.parallel, self.momentum
        if s == 1:
            return c
        m = c - baseline(predictions, moment) + beta * memory.get("apg push", 0.0)
        memory["apg push"] = m
        m_r = m * (self.radius * m.numel() ** 0.5 / m.norm().clamp(min=1e-12)).clamp(max=1.0)
        m_par = (m_r * c).sum() / (c * c).sum().clamp(min=1e-12) * c
        return c + (s - 1) * (m_r - m_par + eta * m_par)
