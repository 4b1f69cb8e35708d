"""A text split into the prompt and the negatives that it holds, and the prompt made good at the seams."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from negativa.language.negation import words as w
from negativa.language.negation.grammar import Grammar, Left, Taken
from negativa.language.negation.tokens import Kind, Token, tokens

UNBRACKET: Final = str.maketrans(dict.fromkeys("()[]{}:|", ","))
CONNECTOR: Final = r"(?:and|but|or|nor|yet|plus|&)"
CONNECTED: Final = re.compile(rf"(?:^|(?<=[\s,;])){CONNECTOR}$")
DANGLING: Final = re.compile(rf"(?:{CONNECTED.pattern[:-1]}|[,;]|(?<=\s)[-–—]+)$")
LEADING: Final = re.compile(rf"(?:{CONNECTOR}(?=\s|$)|[,;]|[-–—]+(?=\s|$))\s*")
ARTICLE: Final = re.compile(r"(?:^|(?<=\s))(?P<article>an?)$", re.IGNORECASE)
LONE: Final = re.compile(r"(?:^|\s)(?:a|an|the|his|her|their|its|my)$", re.IGNORECASE)
HARD_END: Final = re.compile(r"\b(?:AND|BREAK)$")
HARD_START: Final = re.compile(r"(?:AND|BREAK)\b")


ROUNDS: Final = 5  # what is taken out may join what was apart, and be taken in the next round; more is no language


@dataclass(frozen=True)
class Split:
    """A prompt without its negations, what they leave out in order of appearance, and a sentence about each."""

    prompt: str
    negatives: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()


@lru_cache(maxsize=1024)
def split(text: str) -> Split:
    """What a text wants, and what it wants left out: "a man without a hat" is "a man" and ("hat",).

    A text without a negation comes back as it is. What may or may not be a negation stays where it is, and a notice says so;
    so does one inside brackets, whose weight would be lost. Splitting the prompt again finds nothing more.
    """
    prompt, negatives, notices = text, [], []
    for _ in range(ROUNDS):
        held = tokens(prompt)
        found = _whole_parts(held, Grammar(prompt, held).negations())
        taken = [one for one in found if isinstance(one, Taken)]
        if not taken:
            break
        for one in taken:
            negatives += one.negatives
            notices += [_taken(one, prompt, held)]
            if one.doubt:
                notices.append(f"'{_said(one, prompt, held)}' ends where it does for sure, but {one.doubt}")
        prompt = _without(prompt, held, taken)
    else:
        return Split(text, (), ("the negations in it stand too close to tell them apart; all were left in the prompt",))
    notices += [_left(one, prompt, held) for one in found if isinstance(one, Left) and one.reason]
    notices += [notice for token in held if token.kind is Kind.BRACKET for notice in _bracketed(token)]
    return Split(prompt, tuple(dict.fromkeys(negatives)), tuple(dict.fromkeys(notices)))


@lru_cache(maxsize=1024)
def doubled(text: str) -> tuple[str, ...]:
    """A sentence about each negation inside the text of a negative, which says no already; nothing is turned round."""
    flat = text.translate(UNBRACKET)
    held = tokens(flat)
    taken = [one for one in Grammar(flat, held).negations() if isinstance(one, Taken)]
    return tuple(
        f"'{_said(one, text, held)}' in a negative says no twice: to keep it away, write only {_named(one.negatives)}"
        for one in taken
    )


def _said(one: Taken | Left, text: str, held: list[Token]) -> str:
    return " ".join(text[held[one.first].start : held[one.after - 1].end].split())


def _named(names: tuple[str, ...]) -> str:
    return " and ".join(f"'{name}'" for name in names)


def _taken(one: Taken, text: str, held: list[Token]) -> str:
    kind = "negative" if len(one.negatives) == 1 else "negatives"
    return f"'{_said(one, text, held)}' was taken as the {kind} {_named(one.negatives)}"


def _left(one: Left, text: str, held: list[Token]) -> str:
    return f"'{_said(one, text, held)}' was left in the prompt: {one.reason}"


def _bracketed(token: Token) -> list[str]:
    if token.text.startswith("<"):
        return []
    flat = token.text.translate(UNBRACKET)
    held = tokens(flat)
    taken = [one for one in Grammar(flat, held).negations() if isinstance(one, Taken)]
    return [f"'{_said(one, token.text, held)}' was left in the prompt: it stands inside brackets" for one in taken]


def _whole_parts(held: list[Token], found: list[Taken | Left]) -> list[Taken | Left]:
    """The same, but that a part between AND or BREAK is never emptied."""
    parts = [0]
    for token in held:
        parts.append(parts[-1] + (token.kind is Kind.HARD))
    if not parts[-1]:
        return found
    gone = {at for one in found if isinstance(one, Taken) for at in range(one.first, one.after)}
    full = {
        parts[at + 1]
        for at, token in enumerate(held)
        if at not in gone and token.kind not in (Kind.STOP, Kind.HARD) and token.word not in w.CONNECTOR
    }
    return [
        Left(one.first, one.after, "nothing else stands between AND or BREAK")
        if isinstance(one, Taken) and parts[one.first + 1] not in full
        else one
        for one in found
    ]


def _without(text: str, held: list[Token], taken: list[Taken]) -> str:
    """The text without these tokens, mended where each of them stood."""
    done: list[str] = []  # the mended text in pieces: only the last is looked at again, so a long text takes no longer per word
    last = text[: held[taken[0].first].start]
    for one, following in zip(taken, [*taken[1:], None], strict=True):
        until = held[following.first].start if following else len(text)
        while done and not _trimmed(last.rstrip()):
            last = done.pop() + last
        left, right = _joined(last, text[held[one.after - 1].end : until], one.adjective)
        if left and right:
            done.append(left)
        last = right or left
    return "".join([*done, last]).strip()


def _joined(left: str, right: str, adjective: bool) -> tuple[str, str]:
    """Two pieces of a prompt, between which something was taken out, as they are to stand side by side."""
    gap = left[len(left.rstrip()) :] + right[: len(right) - len(right.lstrip())]
    left, right = left.rstrip(), right.lstrip()
    if adjective and right and right[0].isalnum() and not LEADING.match(right):
        return (_article(left, right), f" {right}") if left else ("", right)
    left = _trimmed(left) if _ends(right) or not right else _unconnected(left)
    closed = not left or left[-1] in ".!?"
    if closed or HARD_END.search(left) or LONE.search(left):
        marks = ",;.!?:" if closed else ",;"
        bare = right.lstrip(marks + " \t\n")
        start = LEADING.match(bare)
        right, stopped = bare[start.end() if start else 0 :], bare != right
        first, _, rest = right.partition(" ")
        if not left and not stopped and first.lower() in w.OPENS and rest:
            right = rest.lstrip()
    elif right[:1] in tuple(",;-–—"):
        left = _trimmed(left)
    elif match := LEADING.match(right):
        right = right[match.end() :]
    if left and right and right[0] not in ",;.!?:":
        right = ("\n" if "\n" in gap else " ") + right
    return left, right


def _ends(right: str) -> bool:
    return right[:1] in tuple(".!?;:") or bool(HARD_START.match(right))


def _trimmed(left: str) -> str:
    """Without commas and connectors at its end."""
    return _stripped(left, DANGLING)


def _unconnected(left: str) -> str:
    """Without connectors at its end; a comma stays, between what is left."""
    trimmed = _stripped(left, CONNECTED)
    return trimmed if _trimmed(trimmed) else ""


def _stripped(left: str, pattern: re.Pattern[str]) -> str:
    while match := pattern.search(left):
        left = left[: match.start()].rstrip()
    return left


def _article(left: str, right: str) -> str:
    """The left piece with "a" or "an" as the word behind it now wants."""
    if match := ARTICLE.search(left):
        vowel = right[0].lower() in "aeio" and not right.lower().startswith(("one", "eu"))
        article = match["article"][0] + ("n" if vowel else "")
        return left[: match.start()] + article
    return left
