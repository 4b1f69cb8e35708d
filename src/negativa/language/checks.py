"""What a pair of texts says against itself: terms that stand twice, words of the prompt in the negative."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from negativa.language import negation
from negativa.language.prompting.a1111 import untagged

WORD: Final = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
TERMS: Final = re.compile(r"[,;\n]")
MARKUP: Final = str.maketrans("", "", "()[]{}<>\\")
WEIGHT: Final = re.compile(r":\s*[+-]?\d*\.?\d+\s*(?=\)|$)")
NAME: Final = re.compile(r"(?<!\S)@[\w.-]+")
SMALL = {"a", "an", "and", "as", "at", "but", "by", "for", "from", "her", "his", "in", "into", "is", "it", "its", "no", "not"}
SMALL |= {"of", "on", "or", "out", "over", "that", "the", "their", "this", "to", "under", "with"}


def said_of_texts(prompt: str, negatives: Sequence[str]) -> Iterator[str]:
    """Sentences about negations in the prompt, terms that stand twice, and words that a negative shares with the prompt."""
    for one in negation.split(prompt).negatives:
        yield f"prompt: it leaves out {one!r} in words, but models tend to draw what is named; as a negative it would act"
    counted = Counter(term for one in negatives for term in _terms(one))
    for term, count in counted.items():
        if count > 1:
            yield f"negative: {term!r} stands {_times(count)}; once is enough, weights make it stronger"
    for name in (name for one in negatives for name in NAME.findall(one)):
        yield f"negative: {name!r} is text here; on a command line or in a plan a named list is a negative of its own"
    wanted = _words(prompt)
    for one in negatives:
        if one.strip() != prompt.strip() and (shared := [word for word in _words(one) if word in wanted]):
            listed = ", ".join(map(repr, shared))
            yield f"the negative {_short(one)} shares {listed} with the prompt: where it acts, that is pushed away as well"


def _terms(text: str) -> list[str]:
    return [term for part in TERMS.split(WEIGHT.sub("", text).translate(MARKUP)) if (term := " ".join(part.lower().split()))]


def _words(text: str) -> list[str]:
    return [word for word in dict.fromkeys(WORD.findall(untagged(text).lower())) if word not in SMALL]


def _times(count: int) -> str:
    return "twice" if count == 2 else f"{count} times"


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:39] + "…")
