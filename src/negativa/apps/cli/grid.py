"""`negativa grid`: additions to the prompt across, negatives down, the same noise in every cell."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from negativa.apps.cli import compare, options
from negativa.apps.cli.texts import parse_negative
from negativa.errors import InputError


def grid(
    prompt: options.Prompt,
    seed: options.Seeds = None,
    column: Annotated[
        list[str] | None,
        typer.Option(metavar="LABEL=TEXT", help="A text to append to the prompt; may be repeated, no text is none."),
    ] = None,
    row: Annotated[
        list[str] | None,
        typer.Option(metavar="LABEL=TEXT[:WEIGHT[:START:STOP]]", help="A negative; may be repeated, no text is none."),
    ] = None,
    placebo: Annotated[str | None, typer.Option(help="Add a word that means nothing as a row, column or both.")] = None,
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
    embeddings: options.Embeddings = None,
    lora: options.Loras = None,
    out: options.Out = None,
    overwrite: options.Overwrite = False,
    reproducible: options.Reproducible = False,
    device: options.Device = None,
    dtype: options.Dtype = None,
) -> None:
    """Lay out additions and negatives: negativa grid "an armchair in the shape of an avocado" --seed 59049"""
    from negativa.experiments.grids import COLUMNS, ROWS, Addition, lay_grid
    from negativa.experiments.making import Here

    def additions(field: str, given: list[str] | None) -> Iterator[tuple[str, str]]:
        for text in given or ["original="]:
            label, mark, added = text.partition("=")
            if not mark:
                raise InputError(f"{field}: {text!r} was given; allowed: LABEL=TEXT, as in PROMPT=sharp focus")
            yield label.strip(), added.strip()

    def negatives() -> Iterator[Addition]:
        for label, text in additions("row", row):
            one = parse_negative(text)
            yield Addition(label, one.text, one.weight, one.start, one.stop)

    settings: dict[str, Any] = {"scale": scale, "steps": steps, "sampler": sampler, "rule": rule, "nothing": nothing}
    settings |= {"model": model, "syntax": syntax, "emphasis": emphasis, "width": width, "height": height}
    settings |= {"distilled_scale": distilled_scale}
    base = compare.recipe_of(prompt, window, knob, wrap, lora, weaker, embeddings=embeddings, **settings)
    rows, columns = ROWS, COLUMNS
    if row or column:
        rows, columns = tuple(negatives()), tuple(Addition(*one) for one in additions("column", column))
    tables = lay_grid(base, compare.seeds_of(seed), rows, columns, placebo)  # type: ignore[arg-type]
    folder = compare.folder_of("grid", prompt, out, overwrite)
    make = Here(device=device, dtype=dtype, reproducible=reproducible)
    compare.fill_tables(tables, make, folder, f"Grid: {prompt}", overwrite)
