"""The options that commands share, each declared once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from negativa.errors import InputError
from negativa.plain.images import NO_IMAGES
from negativa.plain.knobs import KNOBS

Prompt = Annotated[str, typer.Argument(help="What to draw.")]
Negatives = Annotated[
    list[str] | None,
    typer.Option("--negative", "-n", metavar="TEXT[:WEIGHT[:START:STOP]]", help="What not to draw; may be repeated."),
]
Seeds = Annotated[
    list[int] | None, typer.Option("--seed", help=f"{KNOBS['seed'].help} May be repeated; drawn by lot if not given.")
]
Scale = Annotated[float | None, typer.Option(help=KNOBS["scale"].help)]
DistilledScale = Annotated[float | None, typer.Option(help=KNOBS["distilled_scale"].help)]
Steps = Annotated[int | None, typer.Option(help=KNOBS["steps"].help)]
Sampler = Annotated[str | None, typer.Option(help="See `negativa samplers`; without it what suits the model and the rule.")]
Rule = Annotated[str | None, typer.Option(help="See `negativa rules`.")]
Knob = Annotated[
    list[str] | None, typer.Option(metavar="NAME=VALUE", help="A number of the rule's own, see `negativa rules RULE`.")
]
Wrap = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME[:FIELD=VALUE…]", help="Wrap the rule: rescale, interval:low=0.3:high=5, ...; may be repeated."),
]
Window = Annotated[
    str | None, typer.Option(metavar="START:STOP", help="Share of the steps in which negatives act, or noun or adjective.")
]
Nothing = Annotated[
    str | None, typer.Option(help="What stands where no text is: empty, zeros or dropped; the model's own if not given.")
]
Width = Annotated[int | None, typer.Option(help=KNOBS["width"].help)]
Height = Annotated[int | None, typer.Option(help=KNOBS["height"].help)]
Model = Annotated[str | None, typer.Option(help="terrarium, exact, a folder, a .safetensors file, or a hub id.")]
Weaker = Annotated[
    str | None, typer.Option(metavar="MODEL|lora=FILE[:WEIGHT]", help="What rules like autoguidance move away from.")
]
Syntax = Annotated[str | None, typer.Option(help="How weights are written: a1111, comfy, compel, or plain for none.")]
Emphasis = Annotated[str | None, typer.Option(help="What weights do: original, no-norm or comfy.")]
Literal = Annotated[bool, typer.Option("--literal", help="Leave “without a hat” in the prompt; else it is a negative.")]
Embeddings = Annotated[
    list[str] | None,
    typer.Option(metavar="PATH", help="File or folder of embeddings, whose names are words of the texts; may be repeated."),
]
Loras = Annotated[
    list[str] | None, typer.Option("--lora", metavar="FILE[:WEIGHT]", help="A LoRA that changes the model; may be repeated.")
]
Images = Annotated[
    list[str] | None,
    typer.Option("--image", metavar="[ADAPTER=]PATH[:WEIGHT[:START:STOP]]", help="A picture to follow; may be repeated."),
]
NegativeImages = Annotated[
    list[str] | None,
    typer.Option(
        "--negative-image", metavar="[ADAPTER=]PATH[:WEIGHT[:START:STOP]]", help="A picture to stay away from; may be repeated."
    ),
]
KeepImages = Annotated[
    list[str] | None,
    typer.Option(
        "--keep-image",
        metavar="[ADAPTER=]PATH",
        help="What shall stay of a negative image: one for each of them, in their order.",
    ),
]
NoImage = Annotated[
    str | None, typer.Option(help=f"What stands where no image is: {', '.join(NO_IMAGES)}, or a folder whose mean it is.")
]
Adapters = Annotated[
    list[str] | None,
    typer.Option(
        "--adapter",
        metavar="[NAME=]PATH",
        help="An IP-Adapter that reads images; called base, plus, full or face if not named.",
    ),
]
ImageEncoder = Annotated[
    Path | None, typer.Option(help="Folder of the CLIP or SigLIP that adapters look through, where it is not beside them.")
]
Out = Annotated[Path | None, typer.Option(help="Folder to write; named after the prompt if not given.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Write into a folder that is not empty.")]
Reproducible = Annotated[bool, typer.Option("--reproducible", help="Equal bit for bit in any company; slower.")]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, mps; the best there is if not given.")]
Dtype = Annotated[str | None, typer.Option(help="float32, float16 or bfloat16.")]


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
