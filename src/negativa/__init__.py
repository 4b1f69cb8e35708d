"""Negativa tells a text-to-image diffusion model what not to draw, and shows whether it listened."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from negativa.errors import InputError, ModelError, NegativaError, OutputError
from negativa.plain.conditions import Negative
from negativa.plain.images import Image
from negativa.plain.receipt import Receipt
from negativa.plain.recipe import Recipe

if TYPE_CHECKING:
    from negativa import exact, terrarium
    from negativa.language.pictures import read, save
    from negativa.studio import Result, Stepped, Studio, load

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


#: What is loaded when it is first used, so that the command line starts at once, and the modules that it is in.
HOMES: Final = dict.fromkeys(("Result", "Stepped", "Studio", "load"), "studio") | dict.fromkeys(
    ("read", "save"), "language.pictures"
)


def __getattr__(name: str) -> Any:
    """Load the rest when it is first used."""
    if name == "__version__":
        from importlib.metadata import version

        return version("negativa")
    if name in HOMES:
        return getattr(import_module(f"negativa.{HOMES[name]}"), name)
    if name in ("exact", "terrarium"):
        return import_module(f"negativa.{name}")
    raise AttributeError(f"module 'negativa' has no attribute {name!r}")
