"""Learned negatives: vectors that begin as no negative at all and rise with what a reward says of guided pictures.

After ReNeg (Li et al. 2025, arXiv 2412.19637): the negative of d = n + s (c - n) is what is learned. `run` carries out
`Settings`, a step at a time.
"""

from __future__ import annotations

from negativa.training.negative.rewards import ClipScore, Flawless, Reward
from negativa.training.negative.running import run
from negativa.training.negative.settings import Settings

__all__ = ["ClipScore", "Flawless", "Reward", "Settings", "run"]
