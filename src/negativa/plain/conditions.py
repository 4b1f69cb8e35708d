"""What a prediction is conditioned on, and what it is steered away from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

from negativa.errors import InputError, nearest
from negativa.plain.knobs import number, text

NothingKind = Literal["empty", "zeros", "dropped"]
NOTHINGS: Final[dict[NothingKind, str]] = {
    "empty": "the encoding of the empty text",
    "zeros": "an embedding of zeros",
    "dropped": "the start token alone, which every text shares: no text was read",
}


#: Published windows for what a negative names (Ban et al. 2024, arXiv 2406.02965: steps 5 and 10 of 30, to the middle).
WINDOWS: Final[dict[str, tuple[float, float]]] = {"noun": (5 / 30, 0.5), "adjective": (10 / 30, 0.5)}


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
    """

    text: str
    chunks: tuple[Chunk, ...] = ()
    emphasis: Emphasis = "original"

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


Condition = Words | Nothing


@dataclass(frozen=True)
class Negative:
    """Words to stay away from.

    `weight`: 1 is the usual full negative, 0 none; `start`, `stop`: the share of the steps (0 to 1) in which it acts;
    step i of N is inside when start <= i / N < stop.
    Raises `InputError` for values out of range.
    """

    condition: str
    weight: float = 1.0
    start: float = 0.0
    stop: float = 1.0

    def __post_init__(self) -> None:
        text("negative", self.condition)
        for field in ("weight", "start", "stop"):
            object.__setattr__(self, field, number(f"negative {field}", getattr(self, field)))
        check_window("negative", self.start, self.stop)

    def acts_at(self, step: int, steps: int) -> bool:
        """Whether this negative has any effect at step `step` of `steps`."""
        return self.weight != 0 and inside(step, steps, self.start, self.stop)


def inside(step: int, steps: int, start: float, stop: float) -> bool:
    """Whether step `step` of `steps` (counted from 0) lies in the half-open window [start, stop)."""
    return start <= step / steps < stop


def window(given: object) -> tuple[float, float]:
    """Start and stop of a window: two numbers, a text START:STOP, or a name of `WINDOWS`.

    Raises `InputError` for anything else, and unless 0 <= start <= stop <= 1.
    """
    if isinstance(given, str) and given in WINDOWS:
        return WINDOWS[given]
    try:
        start, stop = map(float, given.split(":")) if isinstance(given, str) else given  # type: ignore[misc]
    except (TypeError, ValueError) as error:
        names = ", ".join(WINDOWS)
        raise InputError(
            f"window: {given!r} was given; allowed: START:STOP, as in 0.2:0.8, two numbers, or one of {names}"
        ) from error
    start, stop = number("window", start), number("window", stop)
    check_window("window", start, stop)
    return start, stop


def check_window(field: str, start: float, stop: float) -> None:
    """Raise `InputError` unless 0 <= start <= stop <= 1."""
    if not 0 <= start <= stop <= 1:
        raise InputError(f"{field} start and stop: {start:g} and {stop:g} were given; allowed: 0 <= start <= stop <= 1")
