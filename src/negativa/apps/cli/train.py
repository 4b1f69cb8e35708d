"""`negativa train`: what can be learned, and the recipe of the weights that ship."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

from negativa.apps.cli import train_negative, train_token, usage
from negativa.apps.cli.screen import parts
from negativa.errors import InputError
from negativa.plain.knobs import KNOBS
from negativa.plain.quiet import quiet

app = usage.App(help="Train tokens, and what ships with the package.", no_args_is_help=True)
app.command("token")(train_token.token)
app.command("wrong")(train_token.wrong)
app.command("negative")(train_negative.negative)


@app.command()
def terrarium(
    minutes: Annotated[
        float | None,
        typer.Option(help="How long all parts may train, each its share, anew if taken up; the recipe's steps if not given."),
    ] = None,
    folder: Annotated[Path, typer.Option(help="Where checkpoints and the finished model go.")] = Path("terrarium-training"),
    seed: Annotated[int, typer.Option(help="Decides pictures, first weights and order.")] = 0,
    device: Annotated[str | None, typer.Option(help="cpu or cuda; a GPU if there is one.")] = None,
    first: Annotated[
        str | None,
        typer.Option(metavar="PART", help="The first part to train, those before it being --start's: diffusion, or later."),
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="PART", help="The last part to train; all of them if not given.")] = None,
    start: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="An earlier terrarium, whose weights to begin with.")
    ] = None,
) -> None:
    """Paint terrarium's world and train its Stable Diffusion; run again to go on after an interruption."""
    if minutes is not None and not 0 < minutes < math.inf:
        raise InputError(f"minutes: {minutes!r} was given; allowed: a number above 0")
    KNOBS["seed"].check("seed", seed)
    from negativa.studio import device_of

    with quiet():
        from negativa.training.terrarium import Settings, run

    place = str(device_of(device))
    settings = Settings(folder, seed=seed, minutes=minutes, device=place, until=until, start=start, first=first)
    with parts(run(settings)) as events:
        for _ in events:
            pass
    print(folder if until else folder / "terrarium")
