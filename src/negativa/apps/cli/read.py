"""`negativa read`: what made a picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from negativa.apps.cli.like import DAMAGED
from negativa.apps.cli.screen import say
from negativa.errors import InputError
from negativa.plain.conditions import Negative
from negativa.plain.images import Image

if TYPE_CHECKING:
    from negativa.language.pictures import Made


def read(
    picture: Annotated[Path, typer.Argument(help="A PNG, JPEG or WebP file, ours or another program's.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the recipe, settings and receipt as JSON.")] = False,
) -> None:
    """Say what made a picture: negativa read man.png"""
    from negativa.language import pictures

    made = pictures.read(picture)
    if made.damaged:
        say(DAMAGED.format(picture))
    if as_json:
        said = made.infotext
        values = {"recipe": _recipe(made), "prompt": said.prompt, "negative": said.negative, "settings": dict(said.settings)}
        values["receipt"] = made.receipt
        print(json.dumps(values, ensure_ascii=False))
        return
    if made.receipt is None:
        print(f"prompt     {made.infotext.prompt}\nnegative   {made.infotext.negative}")
        for name, value in made.infotext.settings.items():
            print(f"{name:<10} {value}")
        return
    recipe = made.recipe
    print(f"prompt     {recipe.prompt}")
    for one in recipe.images:
        print(f"image      {one.name}{_strength(one)}")
    for one in recipe.negative:
        print(f"negative   {one.text or one.label}{_strength(one)}")
    rows = [(k, v) for k, v in recipe.to_dict().items() if k not in ("prompt", "negative", "images")]
    rows += [
        (k, made.receipt[k])
        for k in ("model_hash", "rows_asked", "rows_run", "seconds", "device", "dtype")
        if k in made.receipt
    ]
    for name, value in rows:
        if value not in (None, {}, []):
            print(f"{name:<10} {_plainly(value)}")
    notices = made.receipt.get("notices")
    for notice in notices if isinstance(notices, list) else ():
        print(f"notice     {notice}")


def _strength(one: Negative | Image) -> str:
    """The weight and window of a condition, where they are not the usual ones."""
    bounds = "" if (one.start, one.stop) == (0, 1) else f", from {one.start:g} to {one.stop:g}"
    return f"  (weight {one.weight:g}{bounds})" if one.weight != 1 or bounds else ""


def _plainly(value: Any) -> str:
    """A value of a recipe as a person would write it."""
    if isinstance(value, dict):
        return ", ".join(f"{name}={_plainly(one)}" for name, one in value.items())
    if isinstance(value, list):
        return ", ".join(map(_plainly, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _recipe(made: Made) -> dict[str, Any] | None:
    """The recipe as plain values, None where a picture of another program asks for what we do not have."""
    try:
        return made.recipe.to_dict()
    except InputError:
        if made.receipt is not None:
            raise
        return None
