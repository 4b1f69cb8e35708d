"""What a token is learned from, how long, and where it goes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from negativa.denoisers.embeddings.files import layouts_of
from negativa.errors import InputError
from negativa.plain.knobs import one_of, text
from negativa.training.runs import beside, check_numbers
from negativa.training.token.pictures import TEMPLATES

RANGES: Final = {"vectors": (1, 32), "steps": (1, 10**6), "batch": (1, 4096), "accumulate": (1, 4096), "validate": (0, 10**6)}
#: Of what is computed: how accelerate calls it, and the type in which the model's own weights, which stand still, are kept.
PRECISIONS: Final = {"no": "float32", "fp16": "float16", "bf16": "bfloat16"}


@dataclass(frozen=True)
class Settings:
    """A token `<name>` learned from the folder `pictures`, written to `out` (.safetensors).

    `vectors` stand for the token; they begin as those of the words `init`, or as the mean of all words. `templates` says what
    captions are like: "style", "object" or "plain", the token alone. A step follows `accumulate` times `batch` pictures.
    `learning_rate` is the highest: it rises for 100 steps, and falls to 0. `precision` is "no" (float32), "fp16" (a GPU's
    alone) or "bf16". Every `validate` steps (0: never) the `prompts`, which hold the token, are drawn; without prompts the
    first template. `layout` is "diffusers", which names the token in the file, or "kohya" (of Stable Diffusion XL: "sdxl"),
    which leaves that to the file's name; None is diffusers, and sdxl for XL. `folder` holds what a later run goes on from;
    beside `out` if None. Raises `InputError` for values out of range.
    """

    pictures: Path
    token: str
    out: Path
    model: str = "terrarium"
    vectors: int = 1
    init: str = ""
    templates: str = "object"
    steps: int = 1000
    batch: int = 4
    accumulate: int = 1
    learning_rate: float = 2e-3
    precision: str = "no"
    seed: int = 0
    validate: int = 250
    prompts: tuple[str, ...] = ()
    layout: str | None = None
    folder: Path | None = None
    overwrite: bool = False
    device: str | None = None

    def __post_init__(self) -> None:
        check_numbers(self, RANGES)
        check_name(self.token)
        one_of("templates", self.templates, TEMPLATES)
        one_of("precision", self.precision, PRECISIONS)
        if self.layout is not None:
            one_of("layout", self.layout, ("diffusers", "kohya", "sdxl"))
        for prompt in self.prompts:
            if self.token not in text("prompts", prompt):
                raise InputError(f"prompts: {prompt!r} was given; allowed: a text that holds {self.token}")
        if self.prompts and not self.validate:
            raise InputError("prompts: given with validate 0, which draws none; allowed: validate 1 or more, or no prompts")

    @property
    def place(self) -> Path:
        """The folder of what a later run goes on from."""
        return self.folder or beside(self.out, "-training")

    @property
    def used(self) -> str:
        """How a prompt or negative says the token."""
        return self.token if self.templates == "object" else TEMPLATES[self.templates][0].format(self.token)

    def layout_for(self, encoders: int) -> str:
        """The file's layout, for a model of so many text encoders; see `layout_for`."""
        return layout_for(self.out, self.token, self.layout, encoders)

    def about(self, **more: Any) -> Mapping[str, Any]:
        """What decides the vectors, as plain values, with `more` that the pictures and the model say."""
        names = ("token", "vectors", "init", "templates", "steps", "batch", "accumulate", "precision", "seed")
        return {name: getattr(self, name) for name in names} | {"learning rate": self.learning_rate, "model": self.model} | more


def check_name(token: str) -> None:
    """Raise `InputError` for what is no name of a token."""
    if not re.fullmatch(r"<[\w.-]+>", text("token", token)):
        raise InputError(f"token: {token!r} was given; allowed: letters, digits and . - _ in angle brackets, as in <wrong>")


def layout_for(out: Path, token: str, layout: str | None, encoders: int) -> str:
    """The layout of the file `out`, for a model of so many text encoders. Raises `InputError` if it cannot hold the token."""
    layout = one_of("layout", layout or ("diffusers" if encoders == 1 else "sdxl"), layouts_of(encoders))
    bare = token[1:-1]
    if layout != "diffusers" and out.stem != bare:
        raise InputError(
            f"out: {out.name!r} was given for {token}, which the layout {layout} names after its file; "
            f"allowed: '{bare}.safetensors', or the layout diffusers"
        )
    return layout
