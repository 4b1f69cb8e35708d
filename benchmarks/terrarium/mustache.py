"""Portraits of a man without and with the negative "mustache", and with the words taken literally."""

from __future__ import annotations

import numpy as np
from common import Bar, Readings, draw, read, seeded, share
from PIL import Image

from negativa import Recipe
from negativa.terrarium.portrait import BACKGROUND, HAIR

SEEDS = 100
NEGATIVE = Recipe("portrait of a man", "mustache")
ARMS = {
    "no negative": NEGATIVE.replace(negative=None),
    "negative “mustache”": NEGATIVE,
    "“without a mustache”": Recipe("portrait of a man without a mustache"),
}
OTHERS = ("perp_neg", "nag", "nag:sdxl", "ong")  # rules that leave more of the rest as it was
KEPT = {"hair colour": tuple(HAIR), "background": tuple(BACKGROUND), "glasses": ("glasses",), "hat": ("hat",)}


def bars() -> tuple[list[Bar], list[str], dict[str, list[Image.Image]]]:
    """The bars, a table of what other rules do with the same negative, and some pictures of each arm."""
    drawn = {name: draw(seeded(recipe, SEEDS), name) for name, recipe in ARMS.items()}
    plain, without, literal = map(read, drawn.values())
    base, left, said = (share(readings, "mustache") for readings in (plain, without, literal))
    found = [
        Bar(f"mustache: portrait of a man, {SEEDS} pictures", base, 40),
        Bar("the same", base, 75, most=True),
        Bar("mustache: with the negative “mustache”", left, 3, most=True),
        Bar("mustache: portrait of a man without a mustache", said, base),
    ]
    for name, group in KEPT.items():
        found.append(Bar(f"{name} kept by the negative, same seed", same(plain, without, group), 85))
    by_rule = {"cfg": without} | {rule: read(draw(seeded(NEGATIVE.replace(rule=rule), SEEDS), rule)) for rule in OTHERS}
    lines = [f"| rule | mustache left | {' kept | '.join(KEPT)} kept |", "|---|" + "---|" * (len(KEPT) + 1)]
    for rule, after in by_rule.items():
        kept = " | ".join(f"{same(plain, after, group):.0f} %" for group in KEPT.values())
        lines.append(f"| {rule} | {share(after, 'mustache'):.0f} % | {kept} |")
    return found, lines, {name: images[:10] for name, images in drawn.items()}


def same(before: Readings, after: Readings, group: tuple[str, ...]) -> float:
    """Percentage of pairs that have the same attribute of the group, or both none of them."""
    return 100 * float(np.mean([answer(a, group) == answer(b, group) for a, b in zip(before, after, strict=True)]))


def answer(reading: dict[str, float], group: tuple[str, ...]) -> str:
    """The attribute that is there; a bald head, or a drawing without colours, has no hair colour."""
    likeliest = max(group, key=reading.__getitem__)
    return likeliest if reading[likeliest] > 0.5 else ""
