"""`negativa train token` and `negativa train wrong`: words that are learned from pictures, and what they do as negatives."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from negativa.apps.cli import options
from negativa.apps.cli.screen import parts, say
from negativa.errors import InputError

if TYPE_CHECKING:
    from negativa.training.negative import Settings as Negative
    from negativa.training.token import Event, Settings

LORA_RATE: Final = 5e-4  # highest learning rate of a LoRA, if none is given
Out = Annotated[Path, typer.Option(help="The embedding to write (.safetensors); a card of the same name says what it does.")]
Token = Annotated[str, typer.Option(metavar="<NAME>", help="What the token is called in a text.")]
Vectors = Annotated[int | None, typer.Option(help="How many vectors stand for it, 1 if not given.")]
Init = Annotated[str | None, typer.Option(help="Words whose vectors it begins as; the mean of all words if not given.")]
Templates = Annotated[str | None, typer.Option(help="What captions are like: style, object, or plain.")]
Steps = Annotated[int | None, typer.Option(help="Steps of training, 1000 if not given.")]
Batch = Annotated[int | None, typer.Option(help="Pictures at a time, 4 if not given.")]
Accumulate = Annotated[int | None, typer.Option(help="Times so many pictures that a step follows, 1 if not given.")]
Rate = Annotated[float | None, typer.Option(help="The highest, 0.002 if not given; it rises, and falls to 0.")]
Precision = Annotated[str | None, typer.Option(help="no, fp16 or bf16, by accelerate.")]
Seed = Annotated[int | None, typer.Option(help="Decides noise and order.")]
Validate = Annotated[int | None, typer.Option(help="Draw a picture every so many steps, 250 if not given; 0 for never.")]
Prompts = Annotated[list[str] | None, typer.Option("--prompt", help="What is drawn then, with the token; may be repeated.")]
Layout = Annotated[
    str | None, typer.Option(help="diffusers, or what is named after its file: kohya (A1111), of Stable Diffusion XL sdxl.")
]
Folder = Annotated[Path | None, typer.Option(help="What a later run goes on from; beside the file if not given.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a file of the same name.")]
Measured = Annotated[int, typer.Option("--pictures", help="Pictures an arm of the comparison at the end.")]


def token(
    pictures: Annotated[Path, typer.Argument(metavar="FOLDER", help="Pictures of what the token is to mean.")],
    token: Token,
    out: Out,
    model: options.Model = None,
    vectors: Vectors = None,
    init: Init = None,
    templates: Templates = None,
    steps: Steps = None,
    batch: Batch = None,
    accumulate: Accumulate = None,
    learning_rate: Rate = None,
    precision: Precision = None,
    seed: Seed = None,
    validate: Validate = None,
    prompt: Prompts = None,
    layout: Layout = None,
    folder: Folder = None,
    overwrite: Overwrite = False,
    measured: Measured = 24,
    device: options.Device = None,
) -> None:
    """Learn a word from a folder of pictures: negativa train token cats --token "<my-cat>" --out my-cat.safetensors

    Stop it at any time and run it again to go on; it ends by measuring what the word does as a negative. Several GPUs share
    the work under `accelerate launch -m negativa train token ...`. Use the file with --embeddings FILE.
    """
    given = known(dict(locals()))
    from negativa.training.token import Settings, run

    settings = Settings(**given)
    carry_out(run(settings), settings, measured, device)


def wrong(
    out: Out,
    token: Token = "<wrong>",
    words: Annotated[
        str | None,
        typer.Option("--list", help="Flaws, with commas, or @NAME; the model's own or the published ones if not given."),
    ] = None,
    scales: Annotated[
        str | None, typer.Option(metavar="LOWEST:HIGHEST", help="Guidance scales of the pictures; 7:20, of XL 8:13.")
    ] = None,
    each: Annotated[int | None, typer.Option(help="Pictures at each scale, 4; of XL at each scale for each flaw, 1.")] = None,
    rank: Annotated[
        int | None, typer.Option(help="Learn a LoRA of this rank for the word (wrong), in the place of a token.")
    ] = None,
    model: options.Model = None,
    vectors: Vectors = None,
    init: Init = None,
    templates: Templates = "style",
    steps: Steps = None,
    batch: Batch = None,
    accumulate: Accumulate = None,
    learning_rate: Rate = None,
    precision: Precision = None,
    seed: Seed = None,
    validate: Validate = None,
    prompt: Prompts = None,
    layout: Layout = None,
    folder: Folder = None,
    overwrite: Overwrite = False,
    measured: Measured = 24,
    device: options.Device = None,
) -> None:
    """Learn a word for what goes wrong: negativa train wrong --token "<wrong>" --out wrong.safetensors

    The model draws a list of flaws at high guidance scales, and the word is learned from these pictures, which are kept. Stop
    it at any time and run it again to go on; it ends by measuring what the word does as a negative, beside an untrained one.
    With --rank a LoRA learns the word wrong: --lora wrong.safetensors -n "in the style of wrong".
    """
    given = known(dict(locals()))
    if rank is not None:
        for name in {"vectors", "init", "validate", "prompts"} & given.keys():
            raise InputError(f"{name}: given with rank, which is a LoRA's; allowed: without it")
        given.setdefault("learning_rate", LORA_RATE)
    from negativa.training import wrong as article
    from negativa.training.runs import beside
    from negativa.training.token import Settings

    place = folder or beside(out, "-training")
    given |= {"pictures": place / "pictures", "folder": place}
    learn = Settings(**given)
    settings = article.Settings(learn, words or "", None if scales is None else _scales(scales), each, rank)
    carry_out(article.run(settings), learn, measured, device)


def known(given: dict[str, Any]) -> dict[str, Any]:
    """What was given for the learning itself; None is left to its default."""
    own = ("measured", "prompt", "words", "scales", "each", "rank")
    given |= {"prompts": tuple(given["prompt"]) if given.get("prompt") else None}
    return {name: value for name, value in given.items() if value is not None and name not in own}


def _scales(text: str) -> tuple[float, float]:
    low, _, high = text.partition(":")
    try:
        return float(low), float(high)
    except ValueError as error:
        raise InputError(f"scales: {text!r} was given; allowed: LOWEST:HIGHEST, as in 7:20") from error


def carry_out(events: Iterator[Event], settings: Settings | Negative, pictures: int, device: str | None) -> None:
    """Learn, compare, and tell of both; whatever ends it, a later run goes on from there."""
    from negativa.experiments.placebo import Compared, check, compare
    from negativa.training.progress import Notice, Trained
    from negativa.training.token import Pictured

    check(pictures, settings.out, settings.place, settings.overwrite)

    def all_of() -> Iterator[Event | Compared]:
        for event in events:
            yield event
            if isinstance(event, Trained):
                yield from compare(event, settings.place / "compared", pictures, device)

    with parts(all_of()) as shown:
        for event in shown:
            match event:
                case Notice():
                    say(f"notice: {event.text}")
                case Pictured():
                    say(f"step {event.step}: {event.file}")
                case Trained():
                    print(event.file, flush=True)
                case Compared():
                    print(event.card, flush=True)
