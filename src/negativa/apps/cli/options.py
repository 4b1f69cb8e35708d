"""The options that commands share, each declared once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from negativa.errors import InputError
from negativa.plain.knobs import KNOBS

Prompt = Annotated[str, typer.Argument(help="What to draw.")]
Seeds = Annotated[
    list[int] | None, typer.Option("--seed", help=f"{KNOBS['seed'].help} May be repeated; drawn by lot if not given.")
]
Scale = Annotated[float | None, typer.Option(help=KNOBS["scale"].help)]
Model = Annotated[
    str | None, typer.Option(help="terrarium, exact, a folder, a .safetensors file, or a hub id; terrarium if not given.")
]
Literal = Annotated[bool, typer.Option("--literal", help="Leave “without a hat” in the prompt; else it is a negative.")]
Out = Annotated[Path | None, typer.Option(help="Folder to write; named after the prompt if not given.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Write into a folder that is not empty.")]
Reproducible = Annotated[bool, typer.Option("--reproducible", help="Equal bit for bit in any company; slower.")]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, mps; the best there is if not given.")]
Dtype = Annotated[str | None, typer.Option(help="float32, float16 or bfloat16; float16 on CUDA, else float32 if not given.")]


def lines_of(file: Path) -> tuple[str, ...]:
    """The prompts in a file, one a line. Raises `InputError` if it cannot be read or holds none."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise InputError(f"prompts: {str(file)!r} could not be read: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"prompts: {str(file)!r} is no UTF-8 text; allowed: one prompt a line") from error
    if not (found := tuple(line.strip() for line in lines if line.strip())):
        raise InputError(f"prompts: {str(file)!r} holds none; allowed: one prompt a line")
    return found
