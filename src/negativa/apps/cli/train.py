"""`negativa train`: the recipes of the weights that ship."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

from negativa.errors import InputError
from negativa.plain.knobs import KNOBS

app = typer.Typer(help="Train what ships with the package.", no_args_is_help=True)


@app.callback()
def train() -> None:
    """Train what ships with the package."""


@app.command()
def terrarium(
    minutes: Annotated[
        float | None, typer.Option(help="How long what is left may train; the recipe's own steps if not given.")
    ] = None,
    folder: Annotated[Path, typer.Option(help="Where checkpoints and the finished model go.")] = Path("terrarium-training"),
    seed: Annotated[int, typer.Option(help="Decides pictures, first weights and order.")] = 0,
    device: Annotated[str | None, typer.Option(help="cpu or cuda; a GPU if there is one.")] = None,
) -> None:
    """Paint terrarium's world and train its Stable Diffusion; run again to go on after an interruption."""
    if minutes is not None and not 0 < minutes < math.inf:
        raise InputError(f"minutes: {minutes!r} was given; allowed: a number above 0")
    KNOBS["seed"].check("seed", seed)
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    from negativa.studio import device_of
    from negativa.training.terrarium import Settings, run

    settings = Settings(folder, seed=seed, minutes=minutes, device=str(device_of(device)))
    words = TextColumn("{task.fields[words]}")
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn(), words)
    with Progress(*columns, console=Console(stderr=True), redirect_stdout=False) as bar:
        tasks: dict[str, TaskID] = {}
        for now in run(settings):
            if now.part not in tasks:
                tasks[now.part] = bar.add_task(now.part, words="")
            said = "" if now.loss is None else f"loss {now.loss:.4f}"
            bar.update(tasks[now.part], completed=now.step, total=now.steps, words=said)
    print(folder / "terrarium")
