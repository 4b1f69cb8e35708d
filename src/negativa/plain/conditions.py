"""What a prediction is conditioned on, and what it is steered away from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

from negativa.errors import InputError, nearest
from negativa.plain.images import Blank, Image, check_weight, is_picture
from negativa.plain.knobs import number, text
from negativa.plain.windows import check_window, inside

NothingKind = Literal["empty", "zeros", "dropped"]
NOTHINGS: Final[dict[NothingKind, str]] = {
    "empty": "the encoding of the empty text",
    "zeros": "an embedding of zeros",
    "dropped": "the start token alone, which every text shares: no text was read",
}


#: How weights and schedules may be written in a text; see language/prompting.
SYNTAXES: Final = ("a1111", "comfy", "compel", "plain")
#: What weights do to what the encoder says; see denoisers/texts.py.
Emphasis = Literal["original", "no-norm", "comfy"]
#: What weights do where nobody says so.
EMPHASIS: Final[dict[str, Emphasis]] = {"a1111": "original", "comfy": "comfy", "compel": "comfy", "plain": "original"}
EMPHASES: Final[tuple[Emphasis, ...]] = get_args(Emphasis)
Chunk = tuple[tuple[str, float], ...]  # stretches of text with their weights


@dataclass(frozen=True)
class Words:
    """A text as the model's own encoder reads it.

    `chunks` are set where it has weights or breaks: what begins a chunk of the encoder's own, in stretches with weights.
    `embeddings` are files and folders whose names are words of it, beside those that the model was loaded with.
    """

    text: str
    chunks: tuple[Chunk, ...] = ()
    emphasis: Emphasis = "original"
    embeddings: tuple[str, ...] = ()

    @property
    def stretches(self) -> tuple[Chunk, ...]:
        """The chunks, also of a text without weights and breaks."""
        return self.chunks or (((self.text, 1.0),),)


@dataclass(frozen=True)
class Nothing:
    """No condition; three different things go by that name (see `NOTHINGS`).

    Raises `InputError` for a kind that is none of them.
    """

    kind: NothingKind = "empty"

    def __post_init__(self) -> None:
        if not isinstance(self.kind, str) or self.kind not in NOTHINGS:
            raise InputError(f"nothing: {self.kind!r} was given; {nearest(str(self.kind), NOTHINGS)}")


@dataclass(frozen=True)
class Shown:
    """Words, or none, and the pictures beside them: each with the scale of the adapter that it names."""

    text: Words | Nothing
    pictures: tuple[tuple[Image | Blank, float], ...]


Condition = Words | Nothing | Shown


def text_of(condition: Condition) -> Words | Nothing:
    """What of a condition the text encoder reads."""
    return condition.text if isinstance(condition, Shown) else condition


@dataclass(frozen=True)
class Negative:
    """Words, or a picture, to stay away from.

    `weight`: 1 is the usual full negative, 0 none; that of a picture is its adapter's scale, as in `Image`. `start`, `stop`:
    the share of the steps (0 to 1) in which it acts; step i of N is inside when start <= i / N < stop. `keep` is a picture of
    all that shall stay of what the negative's picture shows: away from that picture, and towards this, by equal parts.
    Raises `InputError` for values out of range, for a picture that has a weight or window of its own, and for one to keep
    beside words, or beside itself.
    """

    condition: str | Image
    weight: float = 1.0
    start: float = 0.0
    stop: float = 1.0
    keep: Image | None = None

    def __post_init__(self) -> None:
        for field in ("weight", "start", "stop"):
            object.__setattr__(self, field, number(f"negative {field}", getattr(self, field)))
        check_window("negative", self.start, self.stop)
        if isinstance(self.condition, str):
            text("negative", self.condition)
            if self.keep is not None:
                raise InputError(
                    f"negative keep: it was given beside the words {self.condition!r:.80}; allowed beside a picture"
                )
            return
        object.__setattr__(self, "condition", _bare("negative", self.condition, "a text, an Image, or a PIL picture"))
        check_weight("negative", self.weight)
        if self.keep is not None:
            object.__setattr__(self, "keep", _bare("negative keep", self.keep, "an Image, or a PIL picture"))
            if (self.keep.adapter, self.keep.digest) == (self.condition.adapter, self.condition.digest):
                raise InputError(f"negative keep: {self.keep!r} shows what the negative shows; allowed: another picture")

    @property
    def text(self) -> str:
        """The words, "" for a picture."""
        return self.condition if isinstance(self.condition, str) else ""

    @property
    def empty(self) -> bool:
        """Whether it says nothing at all."""
        return isinstance(self.condition, str) and not self.condition.strip()

    @property
    def label(self) -> str:
        """What a sentence calls it."""
        keeping = f" that keeps {self.keep.name!r}" if self.keep else ""
        return f"image {self.condition.name!r}{keeping}" if isinstance(self.condition, Image) else repr(self.condition)

    def acts_at(self, step: int, steps: int) -> bool:
        """Whether this negative has any effect at step `step` of `steps`."""
        return self.weight != 0 and inside(step, steps, self.start, self.stop)


def _bare(field: str, given: object, allowed: str) -> Image:
    """A picture as an `Image`. Raises `InputError` for anything else, and where it has a weight or window."""
    image = Image(given) if is_picture(given) else given  # type: ignore[arg-type]
    if not isinstance(image, Image):
        raise InputError(f"{field}: {given!r:.80} was given; allowed: {allowed}")
    if (image.weight, image.start, image.stop) != (1, 0, 1):
        raise InputError(f"{field}: {image!r} has a weight or window; allowed: those of the Negative around it")
    return image
