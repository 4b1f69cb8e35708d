r"""ComfyUI's grammar: `(x)` weighs 1.1 times what is around it, `(x:1.3)` weighs 1.3 wherever it stands.

`\(` and `\)` are the characters themselves; square brackets, BREAK and AND are text. Brackets without a partner are text: in
the original one of them can swallow the weights of all that follow, here it does not. `embedding:name`, with the folder and the
ending of its file or without, is a word that stands for an embedding.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Final

from negativa.language.prompting.parts import EMPTY, NUMBER, ROUND, Part, bounded, merged, nests, shown

MARK: Final = re.compile(rf"\\([()])|:\s*({NUMBER}(?:[eE][+-]?[0-9]+)?)\s*\)|[()]")
EMBEDDING: Final = re.compile(r"(?<![\w-])embedding:(?:[^\s,<>]*[/\\])?([^\s,<>/\\]*[^\s,<>/\\.:;!?])")


def parse(text: str) -> list[Part]:
    """The text's parts with their weights, neighbours of equal weight joined; `("", 1.0)` stands for no text."""
    opened: list[re.Match[str]] = []
    pairs: dict[int, float | None] = {}
    closing: dict[int, bool] = {}
    for mark in MARK.finditer(text):
        if mark[0] == "(":
            opened.append(mark)
        elif mark[1] is None and opened:
            partner = opened.pop()
            # "(:1.3)" has no word that could be weighted, and "1e999" is no number: both stay text
            explicit = mark[2] is not None and mark.start() > partner.end() and math.isfinite(float(mark[2]))
            pairs[partner.start()] = float(mark[2]) if explicit else None
            closing[mark.start()] = explicit
    weights = [1.0]
    parts: list[Part] = []
    position = 0
    for mark in MARK.finditer(text):
        start, weight = mark.start(), weights[-1]
        parts.append((text[position:start], weight))
        position = mark.end()
        if mark[1] is not None:
            parts.append((mark[1], weight))
        elif start in pairs:
            explicit = pairs[start]
            weights.append(bounded(weight * ROUND if explicit is None else explicit))
        elif start in closing:
            parts.append(("" if closing[start] else mark[0][:-1], weight))
            weights.pop()
        else:
            parts.append((mark[0], weight))
    parts.append((text[position:], 1.0))
    return merged(parts) or [EMPTY]


def embedded(parts: Iterable[Part]) -> list[Part]:
    """Parts with `embedding:name` written as tokens are, <name>."""
    return [(EMBEDDING.sub(r"<\1>", text), weight) for text, weight in parts]


def unpaired(text: str) -> list[int]:
    """Where round brackets stand that have no partner and are text."""
    opened: list[int] = []
    alone: list[int] = []
    for mark in MARK.finditer(text):
        if mark[0] == "(":
            opened.append(mark.start())
        elif mark[1] is None:
            if opened:
                opened.pop()
            else:
                alone.append(mark.end() - 1)
    return sorted(opened + alone)


def unparse(parts: Iterable[Part]) -> str:
    """A text that `parse` reads as these parts, neighbours of equal weight joined."""
    written = []
    for part, weight in merged(parts):
        text = re.sub(r"([()])", r"\\\1", part)
        if weight == 1 and not part.endswith("\\"):
            written.append(text)
        elif ":" not in text and not text.endswith("\\") and (count := nests(weight)) > 0:
            written.append("(" * count + text + ")" * count)
        else:  # a backslash cannot be escaped: it must not come to stand before a bracket
            written.append(f"({text}:{shown(weight)})")
    return "".join(written)
