"""`negativa sweep`: the recipe at every combination of values along any number of axes."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from negativa.apps.cli import compare, options
from negativa.apps.cli.generate import parse_knobs
from negativa.apps.cli.texts import parse_negative
from negativa.errors import InputError


def sweep(
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
    negative: options.Negatives = None,
    seed: options.Seeds = None,
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
    """Vary any knobs: negativa sweep "portrait of a man" --axis scale=1,2,5 --axis "negative=mustache|glasses" """
    from negativa.experiments.axes import parse_axis
    from negativa.experiments.making import Here
    from negativa.experiments.sweeps import lay_sweep

    axes = [parse_axis(text) for text in axis or ()]
    settings: dict[str, Any] = {"scale": scale, "steps": steps, "sampler": sampler, "rule": rule, "nothing": nothing}
    settings |= {"knob": knob, "wrap": wrap, "window": window, "width": width, "height": height}
    settings |= {"model": model, "weaker": weaker, "syntax": syntax, "emphasis": emphasis}
    settings |= {"distilled_scale": distilled_scale, "embeddings": embeddings, "lora": lora}
    given = settings | {"negative": negative, "wrappers": wrap, "loras": lora}
    given |= {f"knob:{name}": value for name, value in parse_knobs(knob or []).items()}
    for one in axes:
        if given.get(one.name) is not None:
            raise InputError(f"{one.name}: given beside an axis of that name; allowed: one of the two")
    base = compare.recipe_of(prompt, negative=[parse_negative(text) for text in negative or ()], **settings)
    seeds = seed or ([] if any(one.name == "seed" for one in axes) else compare.seeds_of(None))
    tables = lay_sweep(base, axes, seeds)
    folder = compare.folder_of("sweep", prompt, out, overwrite)
    make = Here(device=device, dtype=dtype, reproducible=reproducible)
    compare.fill_tables(tables, make, folder, f"Sweep: {prompt}", overwrite)
