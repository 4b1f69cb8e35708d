"""Recipes laid out to be compared: `grid`, `sweep`, `ablate` and `study` yield as pictures finish."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from negativa.experiments.ablation import ablate
    from negativa.experiments.grids import grid
    from negativa.experiments.studying import study
    from negativa.experiments.sweeps import sweep

HOMES: Final = {"ablate": "ablation", "grid": "grids", "study": "studying", "sweep": "sweeps"}

__all__ = ["ablate", "grid", "study", "sweep"]


def __getattr__(name: str) -> Any:
    """Load an experiment when it is first used: some bring torch."""
    if name in HOMES:
        return getattr(import_module(f"{__name__}.{HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
