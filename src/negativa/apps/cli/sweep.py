"""`negativa sweep`: the recipe at every combination of values along any number of axes."""

from __future__ import annotations

from typing import Annotated

import typer

from negativa.apps.cli import compare, options
from negativa.apps.cli.flat import flat
from negativa.apps.cli.settings import Away, Machine, Settings
from negativa.errors import InputError
from negativa.language.negatives import parse_negative
from negativa.plain.recipe import Recipe


@flat
def sweep(
    *,
    prompt: options.Prompt,
    axis: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE,VALUE",
            help='A knob and its values, with | between them where one holds a comma: "scale=1,2,5", "negative=|mustache", '
            '"negative-weight=0,0.5,1"; or a text to search for and what to put in its place: "prompt:man=man|woman". '
            "The first axis runs across, the second down, more make pages.",
        ),
    ] = None,
    away: Away,
    seed: options.Seeds = None,
    settings: Settings,
    out: options.Out = None,
    overwrite: options.Overwrite = False,
    machine: Machine,
) -> None:
    """Vary any knobs: negativa sweep "portrait of a man" --axis scale=1,2,5 --axis "negative=mustache|glasses" """
    from negativa.experiments.axes import parse_axis
    from negativa.experiments.making import Here
    from negativa.experiments.sweeps import lay_sweep

    axes = [parse_axis(text) for text in axis or ()]
    given = settings.fields()
    negatives = away.beside(None if away.negative is None else tuple(map(parse_negative, away.negative)))
    if negatives is not None:
        given["negative"] = negatives
    named = {*given, *(f"knob:{name}" for name in given.get("knobs", ()))} - {"knobs"}
    for one in axes:
        if one.name in named:
            raise InputError(f"{one.name}: given beside an axis of that name; allowed: one of the two")
    base = Recipe(prompt, **given)
    seeds = seed or ([] if any(one.name == "seed" for one in axes) else compare.seeds_of(None))
    tables = lay_sweep(base, axes, seeds)
    folder = compare.folder_of("sweep", prompt, out, overwrite)
    make = Here(**machine.loading)
    recipes = [one for table in tables for row in table.recipes for one in row]
    notices = [*machine.unread(*recipes)]
    if any(one.name == "prompt" for one in axes) and prompt not in {one.prompt for one in recipes}:
        notices.append(f"prompt: {prompt!r} is not among those of the axis, and not drawn")
    compare.fill_tables(tables, make, folder, f"Sweep: {prompt}", overwrite, notices)
