"""Learned tokens: textual inversion (Gal et al. 2022, arXiv 2208.01618), a few vectors in the place of a word.

`run` carries out `Settings`, a step at a time; a `Learner` is what is trained.
"""

from __future__ import annotations

from negativa.training.token.learner import Learner
from negativa.training.token.running import Event, Learned, Pictured, run
from negativa.training.token.settings import Settings

__all__ = ["Event", "Learned", "Learner", "Pictured", "Settings", "run"]
