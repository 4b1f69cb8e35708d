"""`negativa train negative`: what to guide away from, learned from what a reward says of guided pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from negativa.apps.cli import options, train_token


def negative(
    out: train_token.Out,
    token: train_token.Token = "<negative>",
    prompts: Annotated[
        Path | None,
        typer.Option(help="File of prompts, one a line, some of them held out; terrarium's captions if not given."),
    ] = None,
    reward: Annotated[str | None, typer.Option(help="reader (terrarium's), or a folder or hub id of a CLIP model.")] = None,
    model: options.Model = None,
    vectors: Annotated[int | None, typer.Option(help="How many vectors stand for it, 4 if not given.")] = None,
    steps: Annotated[int | None, typer.Option(help="Steps of training, 400 if not given.")] = None,
    batch: Annotated[int | None, typer.Option(help="Pictures at a time, 8 if not given.")] = None,
    scale: Annotated[float | None, typer.Option(help="Guidance scale; the model's own if not given.")] = None,
    check: Annotated[int | None, typer.Option(help="Steps between two checks, 50 if not given.")] = None,
    patience: Annotated[int | None, typer.Option(help="Checks without a better one that end it, 3 if not given.")] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="The highest, 0.005 if not given; it rises, and falls to 0.")
    ] = None,
    seed: train_token.Seed = None,
    layout: train_token.Layout = None,
    folder: train_token.Folder = None,
    overwrite: train_token.Overwrite = False,
    measured: train_token.Measured = 24,
    device: options.Device = None,
) -> None:
    """Learn what to guide away from: negativa train negative --out negative.safetensors

    It begins as no negative at all and follows a reward of guided pictures, with checks that variety and obedience have not
    fallen. Stop it at any time and run it again to go on; it ends by measuring itself beside no negative and beside words.
    """
    given = train_token.known(dict(locals()))
    from negativa.training.negative import Settings, run

    if prompts is not None:
        given |= {"prompts": options.lines_of(prompts)}
    settings = Settings(**given)
    train_token.carry_out(run(settings), settings, measured, device)
