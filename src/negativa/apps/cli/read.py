"""`negativa read`: what made a picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def read(
    picture: Annotated[Path, typer.Argument(help="A PNG, JPEG or WebP file, ours or another program's.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the recipe, settings and receipt as JSON.")] = False,
) -> None:
    """Say what made a picture: negativa read man.png"""
    from negativa.language import pictures

    made = pictures.read(picture)
    if as_json:
        values = {"recipe": made.recipe.to_dict(), "settings": made.settings, "receipt": made.receipt}
        print(json.dumps(values, ensure_ascii=False))
        return
    recipe = made.recipe
    print(f"prompt     {recipe.prompt}")
    for one in recipe.negative:
        bounds = "" if (one.start, one.stop) == (0, 1) else f", from {one.start:g} to {one.stop:g}"
        print(f"negative   {one.condition}" + (f"  (weight {one.weight:g}{bounds})" if one.weight != 1 or bounds else ""))
    if made.receipt is None:
        rows = made.settings.items()
    else:
        rows = [(k, v) for k, v in recipe.to_dict().items() if k not in ("prompt", "negative")]
        rows += [(k, made.receipt[k]) for k in ("rows_asked", "rows_run", "seconds", "device", "dtype") if k in made.receipt]
    for name, value in rows:
        print(f"{name:<10} {value}")
    for notice in (made.receipt or {}).get("notices", ()):
        print(f"notice     {notice}")
