"""What a negative is learned for, how long, and where it goes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from negativa.denoisers.embeddings.files import LAYOUTS
from negativa.errors import InputError
from negativa.plain.knobs import KNOBS, one_of, text
from negativa.training.conditions import condition_of
from negativa.training.runs import beside, check_numbers
from negativa.training.token.settings import check_name, layout_for

RANGES: Final = {
    "vectors": (1, 32),
    "steps": (1, 10**6),
    "batch": (1, 1024),
    "walk": (2, 1000),
    "last": (1, 1000),
    "check": (1, 10**6),
    "patience": (1, 10**6),
    "pictures": (2, 10_000),
}


@dataclass(frozen=True)
class Settings:
    """A token `<name>` that is learned as a negative, written to `out` (.safetensors).

    `vectors` stand for the token, and begin as what fills up a text: where that is the end token (Stable Diffusion 1,
    terrarium) the token says at first exactly what "" says. `reward` is "reader" (terrarium's) or a folder or hub id of a CLIP
    model. A step walks `batch` of the `prompts` with DDIM in `walk` steps at guidance `scale` (the model's own if None) to one
    of the `last` steps, and follows the reward of the picture that the guided prediction means there. Every `check` steps
    `pictures` are drawn of prompts that are not learned from; the vectors that are kept are those of the best check at
    which variety and obedience have not fallen; `patience` checks in a row without a better one end it. Without prompts,
    terrarium's captions. `learning_rate` is the highest: it rises for 100 steps, and falls to 0. `layout` and `folder` are as
    in `negativa.training.token.Settings`. Raises `InputError` for values out of range.
    """

    out: Path
    token: str = "<negative>"
    model: str = "terrarium"
    prompts: tuple[str, ...] = ()
    reward: str = "reader"
    vectors: int = 4
    steps: int = 400
    batch: int = 8
    scale: float | None = None
    walk: int = 30
    last: int = 10
    check: int = 50
    patience: int = 3
    pictures: int = 48
    learning_rate: float = 5e-3
    seed: int = 0
    layout: str | None = None
    folder: Path | None = None
    overwrite: bool = False
    device: str | None = None

    def __post_init__(self) -> None:
        check_numbers(self, RANGES)
        if self.last > self.walk:
            raise InputError(f"last: {self.last} was given; allowed: up to walk, {self.walk}")
        KNOBS["scale"].check("scale", self.scale)
        if self.scale == 1:
            raise InputError("scale: 1 was given, at which no negative acts; allowed: another")
        check_name(self.token)
        if self.reward == "reader" and self.model != "terrarium":
            raise InputError(
                "reward: 'reader' was given, which knows terrarium's pictures; allowed: a folder or hub id of CLIP"
            )
        if self.model != "terrarium" and len(self.prompts) < 2:
            raise InputError(f"prompts: {len(self.prompts)} were given; allowed: two or more, for {self.model!r}")
        for prompt in self.prompts:
            condition_of("prompts", text("prompts", prompt))
        if self.layout is not None:
            one_of("layout", self.layout, LAYOUTS)

    @property
    def place(self) -> Path:
        """The folder of what a later run goes on from."""
        return self.folder or beside(self.out, "-training")

    def layout_for(self, encoders: int) -> str:
        """The file's layout, for a model of so many text encoders. Raises `InputError` if it cannot hold the token."""
        return layout_for(self.out, self.token, self.layout, encoders)

    def about(self, **more: Any) -> Mapping[str, Any]:
        """What decides the vectors, as plain values, with `more` that the model says."""
        names = ("token", "reward", "vectors", "steps", "batch", "walk", "last", "check", "patience", "pictures", "seed")
        values = {name: getattr(self, name) for name in names}
        values["scale"] = "the model's own" if self.scale is None else self.scale
        return values | {"learning rate": self.learning_rate, "prompts": list(self.prompts), "model": self.model} | more
