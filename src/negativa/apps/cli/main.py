"""`negativa`: the commands, and how their errors end."""

from __future__ import annotations

import sys
import warnings
from typing import Annotated

import typer

import negativa
from negativa.apps.cli import ablate, bake, check, embeddings, generate, grid, lists, read, study, sweep, train, usage
from negativa.errors import NegativaError

app = usage.App(
    help="Tell a text-to-image diffusion model what not to draw, and see whether it listened.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("generate")(generate.generate)
app.command("grid")(grid.grid)
app.command("sweep")(sweep.sweep)
app.command("ablate")(ablate.ablate)
app.command("bake")(bake.bake)
app.command("check")(check.check)
app.command("study")(study.study)
app.command("read")(read.read)
app.command("rules")(lists.rules)
app.command("samplers")(lists.samplers)
app.command("models")(lists.models)
app.command("measures")(lists.measures)
app.command("negatives")(lists.negatives)
app.add_typer(embeddings.app, name="embeddings")
app.add_typer(train.app, name="train")


def _print_version(asked: bool) -> None:
    if asked:
        print(f"negativa {negativa.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version and exit.")
    ] = False,
) -> None:
    """What stands before a command."""


def main() -> None:
    """Run the command; bad input ends in one sentence and status 2, Ctrl-C in status 130 with what is finished kept."""
    warnings.filterwarnings("ignore", module="torchsde")  # it warns of rounding in the last digit of its own times
    try:
        sys.exit(app(standalone_mode=False) or 0)
    except NegativaError as error:
        print(f"negativa: {error}", file=sys.stderr)
    except usage.UsageError as error:
        if said := usage.sentence(error):
            print(f"negativa: {said}", file=sys.stderr)
    sys.exit(2)
