"""The four grammars by name, and the weights of a text in one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from negativa.errors import InputError, nearest
from negativa.language.prompting import a1111, comfy, compel
from negativa.language.prompting.parts import Part
from negativa.plain.conditions import SYNTAXES

PARSE: Final[dict[str, Callable[[str], list[Part]]]] = {
    "a1111": a1111.parse,
    "comfy": comfy.parse,
    "compel": compel.parse,
    "plain": lambda text: [(text, 1.0)],
}
UNPARSE: Final[dict[str, Callable[[Iterable[Part]], str]]] = {
    "a1111": a1111.unparse,
    "comfy": comfy.unparse,
    "compel": compel.unparse,
}


def checked(syntax: str) -> str:
    """The name of a grammar. Raises `InputError` if it is none."""
    if syntax not in SYNTAXES:
        raise InputError(f"syntax: {syntax!r} was given; {nearest(str(syntax), SYNTAXES)}")
    return syntax


def parse(text: str, syntax: str = "a1111") -> list[Part]:
    """The parts of a text with their weights, neighbours of equal weight joined; `("", 1.0)` stands for no text.

    `("BREAK", -1.0)` stands between chunks in a1111. Schedules and AND are text here: `prompting.read` knows them. Raises
    `InputError` for an unknown syntax, and for what compel's grammar knows but nobody carries out.
    """
    return PARSE[checked(syntax)](text)


def unparse(parts: Iterable[Part], syntax: str = "a1111") -> str:
    """A text that `parse` reads as these parts, its weights written as shortly as they can be.

    Raises `InputError` for an unknown syntax, and for weights or texts that the grammar cannot say.
    """
    if checked(syntax) != "plain":
        return UNPARSE[syntax](parts)
    said = list(parts)
    if any(weight != 1 for _, weight in said):
        raise InputError("syntax: plain was given for a text with weights; allowed: a1111, comfy, compel")
    return "".join(text for text, _ in said)
