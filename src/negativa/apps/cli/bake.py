"""`negativa bake`: a negative, and guidance with it, learned into the model."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from negativa.apps.cli import options
from negativa.apps.cli.screen import parts
from negativa.errors import InputError
from negativa.language.negatives import parse_negative
from negativa.plain.conditions import Negative


def bake(
    out: Annotated[Path, typer.Option(help="The LoRA to write (.safetensors); with --full the folder of a U-Net.")],
    negative: Annotated[
        str | None, typer.Option("--negative", "-n", help='What not to draw; "" bakes guidance without a negative.')
    ] = None,
    scale: options.Scale = None,
    any_scale: Annotated[
        bool, typer.Option("--any-scale", help="Learn all scales from 1 to that one: --lora FILE:0.5 is half way between.")
    ] = False,
    erase: Annotated[
        str | None, typer.Option(help="Instead of a negative: a concept that its own prompt no longer draws.")
    ] = None,
    slider: Annotated[
        str | None, typer.Option(help="Instead: a concept that weights above 0 add, and below 0 take away.")
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Train all weights of the U-Net instead of a LoRA.")] = False,
    layout: Annotated[str | None, typer.Option(help="Of the LoRA: diffusers, or kohya; diffusers if not given.")] = None,
    prompts: Annotated[
        Path | None, typer.Option(help="File of prompts, one a line; terrarium's captions if not given.")
    ] = None,
    model: options.Model = None,
    rank: Annotated[int | None, typer.Option(help="Rank of the LoRA, 32 if not given.")] = None,
    steps: Annotated[int | None, typer.Option(help="Steps of training, 1000 if not given.")] = None,
    minutes: Annotated[float | None, typer.Option(help="How long it may train, instead of steps; anew if taken up.")] = None,
    batch: Annotated[int | None, typer.Option(help="Rows of a step, 16 if not given.")] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="The highest, 5e-4 if not given (5e-5 with --full); it rises, and falls to 0.")
    ] = None,
    walks: Annotated[int | None, typer.Option(help="Pictures whose way from noise is learned from, 256 if not given.")] = None,
    pictures: Annotated[int | None, typer.Option(help="Pictures an arm of the comparison at the end, 24 if not given.")] = None,
    seed: Annotated[int | None, typer.Option(help="Decides noise, first weights and order.")] = None,
    folder: Annotated[Path | None, typer.Option(help="What a later run goes on from; beside the file if not given.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file of the same name.")] = False,
    device: options.Device = None,
    dtype: Annotated[str | None, typer.Option(help="float32 or bfloat16; float32 if not given.")] = None,
) -> None:
    """Learn guidance with a negative into one pass: negativa bake --negative mustache --scale 3.5 --out shaved.safetensors

    Stop it at any time and run it again to go on; it ends by measuring itself. Use the file with --lora FILE --rule none.
    """
    kinds = {"negative": negative, "erase": erase, "slider": slider}
    ((kind, text),) = _one_of({name: value for name, value in kinds.items() if value is not None})
    if full and (rank is not None or layout is not None):
        raise InputError("full: given with rank or layout, which are a LoRA's; allowed: without them")
    if steps is not None and minutes is not None:
        raise InputError("minutes: given with steps; allowed: one of the two")
    if kind == "negative":
        read = parse_negative(text)
        if read != Negative(read.text):
            raise InputError(f"negative: {text!r} has a weight, or a window of steps; allowed: a text, and --scale")
        text = read.text
    given: dict[str, Any] = {"model": model, "rank": rank, "steps": steps, "minutes": minutes, "batch": batch, "walks": walks}
    given |= {"learning_rate": learning_rate, "pictures": pictures, "seed": seed, "folder": folder, "layout": layout}
    given |= {"prompts": None if prompts is None else options.lines_of(prompts), "device": device, "dtype": dtype}

    from negativa.training.bake import Baked, Goal, Settings, run

    goal = Goal(kind, text, scale, any_scale)
    known = {name: value for name, value in given.items() if value is not None}
    with parts(run(Settings(goal, out, full=full, overwrite=overwrite, **known))) as events:
        for event in events:
            if isinstance(event, Baked):
                print(event.card.read_text(encoding="utf-8"))
                print(event.out)


def _one_of(given: dict[str, str]) -> Iterable[tuple[Any, str]]:
    if len(given) != 1:
        said = f"{' and '.join(given)} were given" if given else "none was given"
        raise InputError(f"negative: {said}; allowed: one of --negative, --erase and --slider")
    return given.items()
