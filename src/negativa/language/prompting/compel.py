"""compel's grammar, read by compel's own parser: `word++`, `(some words)1.3`, `(some words)--`.

The parser comes with the package `compel` and is loaded with the first text. What goes beyond one row of weighted parts
(`.and()`, `.blend()`, `.swap()`, a LoRA) is refused. compel cannot write weights below zero: it reads `(x)-1.2` as `(x)-` and
the text 1.2.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import Any, Final

from negativa.errors import InputError
from negativa.language.prompting.parts import EMPTY, Part, bounded, merged, shown

LONGEST: Final = 4_000
DEEPEST: Final = 12
BRACKET: Final = re.compile(r"\\.|[()]", re.DOTALL)


def parse(text: str) -> list[Part]:
    """The text's parts with their weights, every part after the first with a space before it.

    Raises `InputError` without the package, for what is not carried out, and for a text that its parser cannot take.
    """
    if len(text) > LONGEST or _depth(text) > DEEPEST:
        raise InputError(
            f"syntax: compel was given {len(text)} characters with up to {_depth(text)} brackets open at once; "
            f"allowed: {LONGEST} characters, {DEEPEST} brackets"
        )
    parser = _parser()
    try:
        conjunction = parser.parse_conjunction(text)
    except Exception as error:  # another package's parser: its errors are of many kinds, and each means the same
        raise InputError(f"syntax: {text[:80]!r} was given, which compel cannot read; allowed: compel's grammar") from error
    return _flat(conjunction)


def unparse(parts: Iterable[Part]) -> str:
    """A text that `parse` reads as these parts. Raises `InputError` for parts that compel's grammar cannot say."""
    wanted = merged((part.strip(), weight) for part, weight in parts)
    written = []
    for part, weight in wanted:
        text = re.sub(r'(?<!\\)([()"])', r"\\\1", part)
        written.append(text if weight == 1 else f"({text}){shown(weight)}")
    text = " ".join(written)
    if [(part.strip(), weight) for part, weight in parse(text)] != (wanted or [EMPTY]):
        raise InputError(f"syntax: {text[:80]!r} does not come back from compel; allowed: what its grammar can say")
    return text


def _flat(conjunction: Any) -> list[Part]:
    beyond = [".and()"] * (len(conjunction.prompts) > 1) + ["a LoRA"] * bool(conjunction.lora_weights)
    parts: list[Part] = []
    for prompt in conjunction.prompts:
        if not hasattr(prompt, "children"):
            beyond.append(".blend()")
            continue
        for child in prompt.children:
            if not hasattr(child, "text"):
                beyond.append(".swap()")
            elif text := child.text.strip():
                parts.append((f" {text}" if parts else text, bounded(child.weight)))
    if beyond:
        raise InputError(f"syntax: compel's {beyond[0]} was given, which is not carried out; allowed: words with weights")
    return merged(parts) or [EMPTY]


def _depth(text: str) -> int:
    """How many brackets are open at once at most; the parser's time and its stack grow with it."""
    depth = deepest = 0
    for mark in BRACKET.finditer(text):
        depth = max(0, depth + {"(": 1, ")": -1}.get(mark[0], 0))
        deepest = max(deepest, depth)
    return deepest


@cache
def _parser() -> Any:
    try:
        from compel.prompt_parser import PromptParser
        from pyparsing import ParserElement
    except ImportError as error:
        raise InputError(
            "syntax: compel was given, but the package compel is not installed; allowed: a1111, comfy, plain"
        ) from error
    ParserElement.enable_packrat()  # as matplotlib does: without it the time doubles with every bracket
    return PromptParser()
