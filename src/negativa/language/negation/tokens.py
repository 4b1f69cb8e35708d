"""A text in tokens that know where they stand in it; brackets and quotations are one token each, whatever they hold."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final


class Kind(Enum):
    """What a token is."""

    WORD = auto()
    STOP = auto()  # a comma, a full stop, a dash between words, a line break
    HARD = auto()  # AND, BREAK: nothing reaches across
    BRACKET = auto()  # from an opening bracket to its partner, or <...>
    QUOTE = auto()
    OTHER = auto()


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a text: `text` as written, from `start` to `end`; `word` in lower case, empty unless it is a word."""

    kind: Kind
    text: str
    start: int
    end: int
    word: str = ""


HARD: Final = frozenset({"AND", "BREAK"})
PARTNERS: Final = {")": "(", "]": "[", "}": "{"}
ESCAPED: Final = re.compile(r"\\.", re.DOTALL)
ANGLED: Final = re.compile(r"<[^<>\n]{0,300}>")
QUOTED: Final = re.compile(
    r'"[^"]*"|“[^”]{0,1000}”|«[^»]{0,1000}»|(?<!\w)[\'‘](?=\w)(?:[^\'’\n]|(?<=\w)[\'’](?=\w)){1,200}[\'’](?!\w)'
)
WORD: Final = re.compile(r"w/o(?:ut)?\b|(?:dr|mr|mrs|ms|st|vs)\.|\d+(?:\.\d+)+\w*|\w(?:[\w'’-]*\w)?", re.IGNORECASE)
STOP: Final = re.compile(r"[,;!?\n—–]|\.|:(?!\s*[\d.+-])|(?<=\s)-+(?=\s)")


def tokens(text: str) -> list[Token]:
    """The tokens of a text in order; white space stands between them."""
    partner = _partners(text)
    found: list[Token] = []
    at = 0
    while at < len(text):
        token = _token(text, at, partner)
        if token is None:
            at += 1
            continue
        found.append(token)
        at = token.end
    return found


def _token(text: str, at: int, partner: dict[int, int]) -> Token | None:
    if at in partner:
        return Token(Kind.BRACKET, text[at : partner[at]], at, partner[at])
    for kind, pattern in (
        (Kind.OTHER, ESCAPED),
        (Kind.BRACKET, ANGLED),
        (Kind.QUOTE, QUOTED),
        (Kind.WORD, WORD),
        (Kind.STOP, STOP),
    ):
        if match := pattern.match(text, at):
            piece = match.group()
            if kind is Kind.WORD and piece in HARD:
                kind = Kind.HARD
            word = piece.lower().replace("’", "'") if kind is Kind.WORD else ""
            return Token(kind, piece, at, match.end(), word)
    return None if text[at].isspace() else Token(Kind.OTHER, text[at], at, at + 1)


def _partners(text: str) -> dict[int, int]:
    """Where the outermost brackets end; an opening one without a partner reaches to the end of the text."""
    waiting: list[int] = []
    ends: dict[int, int] = {}
    escaped = False
    for at, letter in enumerate(text):
        if escaped:
            escaped = False
        elif letter == "\\":
            escaped = True
        elif letter in "([{":
            waiting.append(at)
        elif letter in PARTNERS and waiting and text[waiting[-1]] == PARTNERS[letter]:
            ends[waiting.pop()] = at + 1
    return ends | {at: len(text) for at in waiting if text[at] != "{"}
