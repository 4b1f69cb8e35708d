"""Normalized attention guidance: inside attention, away from the negatives, bounded and blended; works at scale 1 too.

    Zt  = Z + phi sum_i w_i (Z - Z_i)
    Zh  = Zt min(R, tau) / R,      R = |Zt|_1 / |Z|_1 at each position
    out = alpha Zh + (1 - alpha) Z

Z is what attention reads out for the picture under the prompt, Z_i under a negative of weight w_i; phi is the `push`, tau the
`limit`, alpha the `blend`. The scale guides away from nothing as in cfg. Chen, Bandyopadhyay, Zou & Song 2025, arXiv
2505.21179, equations 7 to 10; the presets are its table 5, the defaults those of Stable Diffusion 1.5. Their code's nag_scale
is push + 1. The norm is L1, as in the paper (the first published code had L2). Several negatives are ours: their differences
add up. Cost: 1 pass at scale 1, otherwise 2; a negative costs its cross-attention alone, or, where text and picture look at
each other (Stable Diffusion 3, Flux), a stream of its text beside the prompt's: .43 and .87 of a pass in the paper's
measurement.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from negativa.plain.knobs import knob
from negativa.rules.attended import Attended


@dataclass(frozen=True)
class NormalizedAttention(Attended):
    """`scale` guides the prompt, away from nothing; the negatives act in the attention of the prompt's pass alone."""

    push: float = knob(2.0, 0.0, 100.0, "How far away from the negatives; nag_scale - 1 of other programs.")
    limit: float = knob(2.5, 1.0, 1000.0, "Largest growth of what a position reads.")
    blend: float = knob(0.375, 0.0, 1.0, "Share of the pushed outcome; the rest is the prompt's own.")

    patch: ClassVar[str] = "nag"
    idle_at_0: ClassVar[tuple[str, ...]] = ("push", "blend")
    PRESETS: ClassVar[dict[str, dict[str, float]]] = {
        "flux": {"push": 4.0, "limit": 2.5, "blend": 0.25},
        "sd35": {"push": 4.0, "limit": 2.5, "blend": 0.125},
        "sana": {"push": 4.0, "limit": 2.5, "blend": 0.375},
        "pixart": {"push": 4.0, "limit": 2.5, "blend": 0.375},
        "wan": {"push": 4.0, "limit": 2.5, "blend": 0.25},
        "sdxl": {"push": 2.0, "limit": 2.5, "blend": 0.5},
        "playground": {"push": 2.0, "limit": 2.5, "blend": 0.5},
        "sd15": {"push": 2.0, "limit": 2.5, "blend": 0.375},
    }
