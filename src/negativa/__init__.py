"""Negativa tells a text-to-image diffusion model what not to draw, and shows whether it listened."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from negativa.errors import InputError, ModelError, NegativaError, OutputError
from negativa.plain.conditions import Negative
from negativa.plain.images import Image
from negativa.plain.receipt import Receipt
from negativa.plain.recipe import Recipe
from negativa.studio import Result, Stepped, Studio, load

if TYPE_CHECKING:
    from negativa import exact, terrarium
    from negativa.language.pictures import read, save

__all__ = [
    "Image",
    "InputError",
    "ModelError",
    "NegativaError",
    "Negative",
    "OutputError",
    "Receipt",
    "Recipe",
    "Result",
    "Stepped",
    "Studio",
    "exact",
    "load",
    "read",
    "save",
    "terrarium",
]


def __getattr__(name: str) -> Any:
    """Load what needs Pillow or numpy when it is first used, so that the command line starts at once."""
    if name in ("read", "save"):
        return getattr(import_module("negativa.language.pictures"), name)
    if name in ("exact", "terrarium"):
        return import_module(f"negativa.{name}")
    raise AttributeError(f"module 'negativa' has no attribute {name!r}")
