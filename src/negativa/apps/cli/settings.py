"""What commands that draw can be told of a recipe and of how models are loaded: options that all of them have."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from negativa.apps.cli import options
from negativa.apps.cli.images import parse_adapters, parse_image, parse_negative_image
from negativa.apps.cli.texts import parse_knobs, parse_lora, parse_weaker
from negativa.errors import InputError
from negativa.plain.conditions import Negative
from negativa.plain.images import NO_IMAGES
from negativa.plain.knobs import KNOBS
from negativa.plain.recipe import Recipe

if TYPE_CHECKING:
    from negativa.studio import Loading

PICTURE = "[ADAPTER=]PATH[:WEIGHT[:START:STOP]]"
USUAL = Recipe()  # its fields stand where none is given
WHOLE = "{:g}:{:g}".format(*USUAL.window)


@dataclass(frozen=True)
class Settings:
    """Fields of a recipe as they are written, but for the prompt, the negatives and the seed; None is not given."""

    scale: options.Scale = None
    distilled_scale: Annotated[float | None, typer.Option(help=KNOBS["distilled_scale"].help)] = None
    steps: Annotated[int | None, typer.Option(help=f"{KNOBS['steps'].help} {USUAL.steps} if not given.")] = None
    sampler: Annotated[
        str | None, typer.Option(help="See `negativa samplers`; without it what suits the model and the rule.")
    ] = None
    rule: Annotated[str | None, typer.Option(help=f"See `negativa rules`; {USUAL.rule} if not given.")] = None
    knob: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="A number of the rule's own, see `negativa rules RULE`.")
    ] = None
    wrap: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[:FIELD=VALUE…]", help="Wrap the rule: rescale, interval:low=0.3:high=5, ...; may be repeated."
        ),
    ] = None
    window: Annotated[
        str | None,
        typer.Option(
            metavar="START:STOP",
            help=f"Share of the steps in which negatives act, or noun or adjective; {WHOLE} if not given.",
        ),
    ] = None
    nothing: Annotated[
        str | None, typer.Option(help="What stands where no text is: empty, zeros or dropped; the model's own if not given.")
    ] = None
    width: Annotated[int | None, typer.Option(help=KNOBS["width"].help)] = None
    height: Annotated[int | None, typer.Option(help=KNOBS["height"].help)] = None
    model: options.Model = None
    weaker: Annotated[
        str | None, typer.Option(metavar="MODEL|lora=FILE[:WEIGHT]", help="What rules like autoguidance move away from.")
    ] = None
    syntax: Annotated[
        str | None,
        typer.Option(help=f"How weights are written: a1111, comfy, compel, or plain for none; {USUAL.syntax} if not given."),
    ] = None
    emphasis: Annotated[
        str | None, typer.Option(help="What weights do: original, no-norm or comfy; what the syntax has if not given.")
    ] = None
    image: Annotated[list[str] | None, typer.Option(metavar=PICTURE, help="A picture to follow; may be repeated.")] = None
    no_image: Annotated[
        str | None,
        typer.Option(
            help=f"What stands where no image is: {', '.join(NO_IMAGES)}, or a folder whose mean it is; "
            f"{USUAL.no_image} if not given."
        ),
    ] = None
    embeddings: Annotated[
        list[str] | None,
        typer.Option(metavar="PATH", help="File or folder of embeddings, whose names are words of the texts; may be repeated."),
    ] = None
    lora: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE[:WEIGHT]", help="A LoRA that changes the model, of weight 1 if not given; may be repeated."),
    ] = None

    def fields(self) -> dict[str, Any]:
        """The fields of a recipe that were given. Raises `InputError` for one that cannot be read."""
        found = {name: value for name, value in vars(self).items() if value is not None}
        readers = {
            "knob": ("knobs", parse_knobs),
            "wrap": ("wrappers", tuple),
            "weaker": ("weaker", parse_weaker),
            "image": ("images", lambda given: tuple(map(parse_image, given))),
            "lora": ("loras", lambda given: tuple(map(parse_lora, given))),
        }
        for name, (field, read) in readers.items():
            if name in found:
                found[field] = read(found.pop(name))
        return found


@dataclass(frozen=True)
class Away:
    """Negatives as they are written, in words and in pictures."""

    negative: Annotated[
        list[str] | None,
        typer.Option("--negative", "-n", metavar="TEXT[:WEIGHT[:START:STOP]]", help="What not to draw; may be repeated."),
    ] = None
    negative_image: Annotated[
        list[str] | None, typer.Option(metavar=PICTURE, help="A picture to stay away from; may be repeated.")
    ] = None
    keep_image: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[ADAPTER=]PATH", help="What shall stay of a negative image: one for each of them, in their order."
        ),
    ] = None

    @property
    def given(self) -> bool:
        """Whether there is any."""
        return self.negative is not None or self.negative_image is not None

    def beside(self, words: tuple[Negative, ...] | None) -> tuple[Negative, ...] | None:
        """The negatives in words and after them those that are pictures, None if neither was typed.

        Raises `InputError` unless there are as many pictures that stay as negative ones, or none.
        """
        images, keeps = self.negative_image, self.keep_image
        if keeps and len(keeps) != len(images or ()):
            given = f"{len(keeps)} beside {len(images or ())} of --negative-image"
            raise InputError(f"keep image: {given} were given; allowed: one for each of them, or none")
        if images is None:
            return words
        return (*(words or ()), *map(parse_negative_image, images, keeps or [None] * len(images)))


@dataclass(frozen=True)
class Machine:
    """How models are loaded: what `negativa.load` can be told beside the model."""

    adapter: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]PATH", help="An IP-Adapter that reads images; called base, plus, full or face if not named."
        ),
    ] = None
    image_encoder: Annotated[
        Path | None,
        typer.Option(help="Folder of the CLIP or SigLIP that adapters look through, where it is not beside them."),
    ] = None
    config: Annotated[str | None, typer.Option(help="Diffusers folder that describes a single file.")] = None
    reproducible: options.Reproducible = False
    device: options.Device = None
    dtype: options.Dtype = None

    @property
    def loading(self) -> Loading:
        """Arguments of `negativa.load`. Raises `InputError` where some adapters have a name and some none."""
        return {
            "adapters": parse_adapters(self.adapter),
            "image_encoder": self.image_encoder,
            "config": self.config,
            "reproducible": self.reproducible,
            "device": self.device,
            "dtype": self.dtype,
        }

    def unread(self, *recipes: Recipe) -> Iterator[str]:
        """Sentences about what was given for images and single files, where the recipes have none."""
        if not any(one.images or any(not away.text for away in one.negative) for one in recipes):
            for field, given in (("adapter", ", ".join(self.adapter or ())), ("image encoder", self.image_encoder)):
                if given:
                    yield f"{field}: no image is given; {str(given)!r} has no effect"
        models = {str(model) for one in recipes for model in (one.model, one.weaker)}
        if self.config is not None and not any(Path(model).is_file() for model in models):
            yield f"config: no model is a single file; {self.config!r} has no effect"
