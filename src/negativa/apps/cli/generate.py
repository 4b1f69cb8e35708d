"""`negativa generate`: pictures from a prompt, or from the recipe of a picture."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from negativa.apps.cli import options
from negativa.apps.cli.images import parse_adapters, parse_image, together, unread
from negativa.apps.cli.like import recipe_like
from negativa.apps.cli.screen import progress, say
from negativa.apps.cli.texts import parse_lora, parse_weaker, understood
from negativa.errors import InputError
from negativa.plain.knobs import KNOBS
from negativa.plain.recipe import Recipe

MOST = 100_000  # pictures of one command


def generate(
    prompt: Annotated[str | None, typer.Argument(help="What to draw.")] = None,
    negative: options.Negatives = None,
    seed: Annotated[int | None, typer.Option(help=f"{KNOBS['seed'].help} Drawn by lot if not given.")] = None,
    count: Annotated[int, typer.Option(help="How many pictures, of seeds one after another.")] = 1,
    scale: options.Scale = None,
    distilled_scale: options.DistilledScale = None,
    steps: options.Steps = None,
    sampler: options.Sampler = None,
    rule: options.Rule = None,
    knob: options.Knob = None,
    wrap: options.Wrap = None,
    window: options.Window = None,
    nothing: options.Nothing = None,
    width: options.Width = None,
    height: options.Height = None,
    model: options.Model = None,
    weaker: options.Weaker = None,
    syntax: options.Syntax = None,
    emphasis: options.Emphasis = None,
    literal: options.Literal = False,
    image: options.Images = None,
    negative_image: options.NegativeImages = None,
    keep_image: options.KeepImages = None,
    no_image: options.NoImage = None,
    adapter: options.Adapters = None,
    image_encoder: options.ImageEncoder = None,
    embeddings: options.Embeddings = None,
    lora: options.Loras = None,
    config: Annotated[str | None, typer.Option(help="Diffusers folder that describes a single file.")] = None,
    like: Annotated[Path | None, typer.Option(help="Start from the recipe of this picture.")] = None,
    out: Annotated[Path | None, typer.Option(help="File to write (.png, .jpg, .webp).")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files of the same name.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one receipt a line.")] = False,
    reproducible: options.Reproducible = False,
    device: options.Device = None,
    dtype: options.Dtype = None,
) -> None:
    """Draw pictures: negativa generate "portrait of a man" --negative mustache --seed 7 --out man.png"""
    from negativa.language import pictures
    from negativa.language.files import check_target

    texts = understood(prompt, negative, literal)
    given = {
        "prompt": texts.prompt,
        "negative": together(texts.negatives, negative_image, keep_image),
        "images": None if image is None else tuple(map(parse_image, image)),
        "no_image": no_image,
        "seed": seed if seed is not None or like else secrets.randbelow(2**32),
        "scale": scale,
        "distilled_scale": distilled_scale,
        "steps": steps,
        "sampler": sampler,
        "rule": rule,
        "wrappers": wrap,
        "knobs": None if knob is None else parse_knobs(knob),
        "window": window,
        "nothing": nothing,
        "width": width,
        "height": height,
        "model": model,
        "weaker": parse_weaker(weaker),
        "syntax": syntax,
        "emphasis": emphasis,
        "embeddings": embeddings,
        "loras": None if lora is None else tuple(map(parse_lora, lora)),
    }
    if prompt is None and like is None and not image:
        raise InputError("prompt: none was given; allowed: a text, --image, or --like with a picture")
    given = {name: value for name, value in given.items() if value is not None}
    typed = negative is not None or negative_image is not None
    recipe = Recipe(**given) if like is None else recipe_like(like, given, typed)
    recipes = list(_seeds(recipe, count))
    targets = [_target(one, out, count, overwrite) for one in recipes]
    for target in targets:
        check_target("out", target, pictures.FORMATS, overwrite)

    from negativa.rules import build
    from negativa.studio import Result, load

    build(recipe)
    settings: dict[str, Any] = {"device": device, "dtype": dtype, "reproducible": reproducible, "config": config}
    settings |= {"adapters": parse_adapters(adapter), "image_encoder": image_encoder}
    studio = load(recipe.model or "terrarium", **settings)
    notices, said = [*texts.notices, *unread(recipe, adapter, image_encoder)], set[str]()
    if config is not None and not any(Path(str(one)).is_file() for one in (recipe.model, recipe.weaker)):
        notices.append(f"config: no model is a single file; {config!r} has no effect")
    waiting = {one.seed: target for one, target in zip(recipes, targets, strict=True)}
    try:
        for event in progress(studio.stream(recipes), total=len(recipes)):
            if not isinstance(event, Result):
                continue
            receipt = replace(event.receipt, notices=(*notices, *event.receipt.notices))
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


def parse_knobs(written: list[str]) -> dict[str, float]:
    """Knobs as written on the command line, each once: NAME=VALUE. Raises `InputError` for anything else."""
    found: dict[str, float] = {}
    for text in written:
        name, _, value = text.partition("=")
        if (name := name.strip()) in found:
            raise InputError(f"knob: {name!r} was given twice; allowed: once")
        try:
            found[name] = float(value)
        except ValueError as error:
            raise InputError(f"knob: {text!r} was given; allowed: NAME=NUMBER, as in momentum=0.5") from error
    return found


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
