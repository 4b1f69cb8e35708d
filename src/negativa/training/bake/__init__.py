"""A model that has its negative built in: what guidance does in two passes, learned into the weights of one.

`run` carries out `Settings`, a step at a time; `Goal` is what is learned.
"""

from __future__ import annotations

from negativa.training.bake.comparing import Figure
from negativa.training.bake.goal import Goal
from negativa.training.bake.running import Baked, run
from negativa.training.bake.settings import Settings

__all__ = ["Baked", "Figure", "Goal", "Settings", "run"]
