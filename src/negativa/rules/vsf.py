"""Value sign flip: the prompt's attention reads the negatives' words too, with their values turned around.

    out = softmax(Q [K ; K_i]^T / sqrt(d) + [0 ; -beta]) [V ; -a w_i V_i]
        = W Z - a (1 - W) Z_i       W = the share of attention that falls on the prompt, for one negative of weight 1

K_i, V_i are of the words of a negative of weight w_i alone, without start, end and padding; a is the `strength`, beta the
`offset`. How much is taken off is decided at every position by how much it looks at the negative. The scale guides away from
nothing as in cfg. Guo & Du 2025, arXiv 2508.10931, as the paper says it; its code shows the model an unflipped copy of the
negative as well. Never quite without effect: a negative that nothing looks like still draws some attention. The defaults are
the paper's for a transformer of 8 steps. A weight below zero inside a text, "(mustache:-1)", is the same with strength 1 and
offset 0, under any rule. Where text and picture look at each other (Stable Diffusion 3, Flux), the words of a negative look at
themselves and the picture, and only the picture looks at them. Cost: 1 pass at scale 1, otherwise 2; a negative costs a few
tokens of attention.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from negativa.plain.knobs import knob
from negativa.rules.attended import Attended


@dataclass(frozen=True)
class ValueSignFlip(Attended):
    """`scale` guides the prompt, away from nothing; the negatives act in the attention of the prompt's pass alone."""

    strength: float = knob(3.5, 0.0, 100.0, "How strongly the flipped values count.")
    offset: float = knob(0.1, -20.0, 20.0, "Taken off the negatives' logits: larger looks at them less.")

    patch: ClassVar[str] = "flip"
    idle_at_0: ClassVar[tuple[str, ...]] = ()  # the words are looked at even where their values count for nothing
