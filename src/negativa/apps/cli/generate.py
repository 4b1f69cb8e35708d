"""`negativa generate`: pictures from a prompt, or from the recipe of a picture."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from negativa.apps.cli import options
from negativa.apps.cli.flat import flat
from negativa.apps.cli.like import made_with, otherwise, recipe_like
from negativa.apps.cli.screen import progress, say
from negativa.apps.cli.settings import Away, Machine, Settings
from negativa.apps.cli.texts import understood
from negativa.errors import InputError
from negativa.plain.knobs import KNOBS
from negativa.plain.recipe import Recipe

MOST = 100_000  # pictures of one command


@flat
def generate(
    *,
    prompt: Annotated[str | None, typer.Argument(help="What to draw.")] = None,
    away: Away,
    seed: Annotated[int | None, typer.Option(help=f"{KNOBS['seed'].help} Drawn by lot if not given.")] = None,
    count: Annotated[int, typer.Option(help="How many pictures, of seeds one after another.")] = 1,
    settings: Settings,
    literal: options.Literal = False,
    like: Annotated[Path | None, typer.Option(help="Start from the recipe of this picture.")] = None,
    out: Annotated[Path | None, typer.Option(help="File to write (.png, .jpg, .webp).")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files of the same name.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one receipt a line.")] = False,
    machine: Machine,
) -> None:
    """Draw pictures: negativa generate "portrait of a man" --negative mustache --seed 7 --out man.png"""
    from negativa.language import pictures
    from negativa.language.files import check_target

    texts = understood(prompt, away.negative, literal)
    if prompt is None and like is None and not settings.image:
        raise InputError("prompt: none was given; allowed: a text, --image, or --like with a picture")
    if seed is None and like is None:
        seed = secrets.randbelow(2**32)
    typed = {"prompt": texts.prompt, "negative": away.beside(texts.negatives), "seed": seed}
    given = settings.fields() | {name: value for name, value in typed.items() if value is not None}
    recipe = Recipe(**given) if like is None else recipe_like(like, given, away.given)
    before = {} if like is None else made_with(like)
    recipes = list(_seeds(recipe, count))
    targets = [_target(one, out, count, overwrite) for one in recipes]
    for target in targets:
        check_target("out", target, pictures.FORMATS, overwrite)

    from negativa.rules import build
    from negativa.studio import Result, load

    build(recipe)
    studio = load(recipe.model or "terrarium", **machine.loading)
    notices, said = [*texts.notices, *machine.unread(recipe)], set[str]()
    waiting = {one.seed: target for one, target in zip(recipes, targets, strict=True)}
    try:
        for event in progress(studio.stream(recipes), total=len(recipes)):
            if not isinstance(event, Result):
                continue
            others = otherwise(like, before, event.receipt) if like else ()
            receipt = replace(event.receipt, notices=(*notices, *others, *event.receipt.notices))
            target = waiting[receipt.recipe.seed]
            pictures.save(target, event.image, receipt, overwrite)
            del waiting[receipt.recipe.seed]
            for notice in receipt.notices:
                if notice not in said:
                    say(f"notice: {notice}")
                    said.add(notice)
            if as_json:
                print(json.dumps({"file": str(target), **receipt.to_dict()}, ensure_ascii=False), flush=True)
            else:
                print(f"{target}  seed {receipt.recipe.seed}, {receipt.rows_run} rows, {receipt.seconds:.1f} s", flush=True)
    except KeyboardInterrupt:
        done = len(recipes) - len(waiting)
        say(f"interrupted; {done} of {len(recipes)} pictures are in {str(targets[0].parent.absolute())!r}")
        raise


def _seeds(recipe: Recipe, count: int) -> Iterator[Recipe]:
    last = int(KNOBS["seed"].most)
    if not 1 <= count <= MOST or recipe.seed + count - 1 > last:
        raise InputError(f"count: {count} was given; allowed: from 1 to {MOST}, with seeds up to {last}")
    return (recipe.replace(seed=recipe.seed + i) for i in range(count))


def _target(recipe: Recipe, out: Path | None, count: int, overwrite: bool) -> Path:
    """The file of one picture; names we make up ourselves step aside for files that are there."""
    if out is not None:
        return out if count == 1 or not out.name else out.with_stem(f"{out.stem}-{recipe.seed}")
    words = "-".join(re.findall(r"\w+", recipe.prompt.lower()))[:60] or "picture"
    name, number = f"{words}-{recipe.seed}", 1
    target = Path(f"{name}.png")
    while target.exists() and not overwrite:
        number += 1
        target = Path(f"{name}-{number}.png")
    return target
