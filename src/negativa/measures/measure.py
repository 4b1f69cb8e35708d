"""What a measure is: it scores pictures, and says what its number means."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, ClassVar, Literal

if TYPE_CHECKING:
    from PIL import Image

    from negativa.plain.recipe import Recipe


@dataclass(frozen=True)
class Shot:
    """A picture as a measure sees it: the recipe that made it and, where there is one, the picture it is compared with.

    `before` has the same seed and everything else the same, without the negative. `compared` are the texts of the other
    arms' negatives where arms stand side by side: all are held to what none of them names.
    """

    image: Image.Image
    recipe: Recipe
    before: Image.Image | None = None
    compared: tuple[str, ...] = ()


class Measure(ABC):
    """Scores pictures. A measure is a frozen dataclass; its fields, texts all, follow its name after a colon, with @ between.

    `name` is its key in the table. `unit` says what the number counts, `better` which way is good, `needs` what must be
    there for it. `over` says what one number is about: a single picture, a picture beside its `before`, or all pictures
    of an arm at once.
    """

    name: ClassVar[str]
    unit: ClassVar[str]
    better: ClassVar[Literal["more", "less", "neither"]]
    over: ClassVar[Literal["picture", "pair", "arm"]] = "picture"
    needs: ClassVar[str] = "nothing"

    @property
    def label(self) -> str:
        """As it is written in a plan: "presence:mustache", "kept"; `build` reads it back."""
        given = "@".join(value for field in fields(self) if (value := getattr(self, field.name)))  # type: ignore[arg-type]
        return f"{self.name}:{given}" if given else self.name

    def check(self) -> None:
        """Raise `InputError` if what it needs besides pictures is not there: worth knowing before they are made."""
        return

    @abstractmethod
    def score(self, shots: Sequence[Shot]) -> list[float]:
        """One number a shot, in their order; a single number if the measure is over a whole arm.

        Raises `InputError` if it cannot score such pictures (another size, no `before`, weights that are not there).
        """

    def leaving_out(self, shots: Sequence[Shot]) -> list[float]:
        """Of a measure over a whole arm: the score of all shots but one, for each one that is left out; three or more."""
        return [self.score([*shots[:i], *shots[i + 1 :]])[0] for i in range(len(shots))]
