r"""Texts that change from step to step, in the grammar of AUTOMATIC1111's web UI.

`[from:to:when]` is `from` up to `when` and `to` after it, `[to:when]` begins with nothing, `[from::when]` ends with nothing;
`when` with a point is a fraction of the steps, without one a number of steps. `[a|b|c]` takes turns. They may stand inside each
other. `\[ \] \( \) \: \| \\` are left for the weights to read; unbalanced brackets, and brackets that fit none of this, too.

Steps are counted from 0 here as in the walk: `[a:b:.5]` of 20 steps is ten steps of `a`, then ten of `b`. (The original shows
`a` eleven times: it compares a count from 0 with one from 1.)
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from negativa.language.prompting.a1111 import ESCAPE
from negativa.language.prompting.parts import NUMBER
from negativa.plain.knobs import whole

MARK: Final = re.compile(rf"{ESCAPE}|[()\[\]:|]")
WHEN: Final = re.compile(rf"\s*({NUMBER}(?:[eE][+-]?[0-9]+)?)\s*")
MOST_STEPS: Final = 1_000_000


def schedule(text: str, steps: int) -> list[tuple[int, str]]:
    """What the text is, as pairs: up to and with this many steps, this text; the last pair ends with `steps`.

    `a [b:3]` in 10 steps is `[(3, "a "), (10, "a b")]`. Raises `InputError` if `steps` is below 1.
    """
    ends = resolve(text, 1, whole("steps", steps, 1, MOST_STEPS)).ends
    return [(end, resolve(text, end, steps).text) for end in sorted(ends | {steps})]


def at(text: str, step: int, steps: int) -> str:
    """The text of one step, counted from 0. Raises `InputError` for a step that is none of `steps`."""
    whole("steps", steps, 1, MOST_STEPS)
    return resolve(text, whole("step", step, 0, steps - 1) + 1, steps).text


def changes(text: str) -> bool:
    """Whether the text holds a schedule or an alternation, be it one that makes no difference."""
    return "[" in text and resolve(text, 1, 1).found


@dataclass(frozen=True)
class Resolved:
    """A text at one step, after how many steps it changes, whether it holds a schedule, and which of them never begin."""

    text: str
    ends: frozenset[int]
    found: bool
    never: tuple[str, ...]


@dataclass
class Bracket:
    """An open bracket: its pieces of text with separators between them, and where its last separator ended."""

    opener: str
    start: int = 0
    last: int = 0
    pieces: list[str] = field(default_factory=list)
    separators: list[int] = field(default_factory=list)

    def literal(self) -> str:
        return self.opener + "".join(self.pieces)

    def fields(self, kind: str) -> list[str]:
        """The text between separators of this kind."""
        cuts = [index for index in self.separators if self.pieces[index] == kind]
        return ["".join(self.pieces[start + 1 : stop]) for start, stop in zip([-1, *cuts], [*cuts, None], strict=True)]


def resolve(text: str, step: int, steps: int) -> Resolved:
    """The text at a step counted from 1. Takes any text; time grows with its length, brackets may nest without limit."""
    ends: set[int] = set()
    never: list[str] = []
    found = turns = False
    stack = [Bracket("")]
    waiting = {"(": 0, "[": 0}
    for mark, piece in _pieces(text):
        top = stack[-1]
        if mark is None:
            top.pieces.append(piece)
        elif piece in "([":
            waiting[piece] += 1
            stack.append(Bracket(piece, mark.start(), mark.end()))
        elif piece in ":|":
            top.separators.append(len(top.pieces))
            top.pieces.append(piece)
            top.last = mark.end()
        elif not waiting[opener := "(" if piece == ")" else "["]:
            top.pieces.append(piece)
        else:
            crossed = _unwind(stack, waiting, opener)
            closed = stack.pop()
            waiting[opener] -= 1
            number = WHEN.fullmatch(text, closed.last, mark.start())
            kept = closed.literal() + piece
            if opener == "[" and not crossed:
                colons = closed.fields(":")
                options = closed.fields("|")
                if number and 2 <= len(colons) <= 3 and closed.pieces[closed.separators[-1]] == ":":
                    when = _steps(number[1], steps)
                    kept = colons[-2] if step > when else colons[0] if len(colons) == 3 else ""
                    ends |= {when} if when >= 1 else set()
                    never += [text[closed.start : mark.end()]] if when >= steps and colons[-2].strip() else []
                    found = True
                elif len(options) > 1:
                    kept = options[(step - 1) % len(options)]
                    found = turns = True
            stack[-1].pieces.append(kept)
    _unwind(stack, waiting, "")
    if turns:
        ends.update(range(1, steps + 1))
    return Resolved(stack[0].literal(), frozenset(ends), found, tuple(never))


def _pieces(text: str) -> Iterator[tuple[re.Match[str] | None, str]]:
    """The marks of the grammar in a text, and what stands between them, without a mark."""
    position = 0
    for mark in MARK.finditer(text):
        literal = text[position : mark.start()] + (mark[0] if mark[1] is not None else "")
        position = mark.end()
        if literal:
            yield None, literal
        if mark[1] is None:
            yield mark, mark[0]
    if position < len(text):
        yield None, text[position:]


def _unwind(stack: list[Bracket], waiting: dict[str, int], opener: str) -> bool:
    """Make text of the brackets that stand open above the last one of this kind; whether there were any."""
    crossed = False
    while stack[-1].opener != opener:
        unbalanced = stack.pop()
        waiting[unbalanced.opener] -= 1
        stack[-1].pieces.append(unbalanced.literal())
        crossed = True
    return crossed


def _steps(when: str, steps: int) -> int:
    value = float(when) * (steps if "." in when else 1)
    return int(max(-1.0, min(float(steps), value)))
