"""What the shipped terrarium can do, measured: writes docs/terrarium.md with its contact sheets, and prints it.

Ends with status 1 if a bar is missed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import images
import mustache
import negatives
import parts
import words
from common import DOCS, FIRST_SEED, STEPS, studio, write_sheet
from PIL import Image


def main() -> int:
    from_words, rates, asked = words.bars()
    from_negatives, removals, pairs = negatives.bars()
    from_men, by_rule, men = mustache.bars()
    from_images, shown = images.bars()
    bars = [*parts.bars(), *from_words, *from_negatives, *from_men, *from_images]
    lines = [
        "# Terrarium, measured",
        "",
        f"Written by `make terrarium-report`: {STEPS} steps of Euler a, seeds from {FIRST_SEED},",
    ]
    lines += [
        f"which no tuning looked at. Words at scale {words.SCALE:g}, the rest at the model's own, {studio().denoiser.scale:g}.",
        "",
    ]
    lines += ["| | measured | wanted |", "|---|---|---|", *map(str, bars), ""]
    for name, title, pictures, table in (
        ("asked", "What was asked for", asked, rates),
        ("negatives", "Without and with a negative", pairs, removals),
        ("mustache", "Men, without and with the negative", men, by_rule),
        ("images", "Shown, and drawn from what was shown", shown, []),
    ):
        lines += [f"## {title}", "", *table, *([""] if table else [])]
        for file, what in save(f"terrarium-{name}", pictures):
            lines += [f"![{title}{what}]({file})", ""]
    text = "\n".join(lines)
    (DOCS / "terrarium.md").write_text(text)
    print(text)
    return 0 if all(bar.met for bar in bars) else 1


def save(name: str, pictures: dict[str, list[Image.Image]]) -> Iterator[tuple[str, str]]:
    """Write the rows into a sheet, or into one for each scene that their names begin with: its file, and what is on it."""
    scenes = dict[str, dict[str, list[Image.Image]]]()
    for row, drawn in pictures.items():
        scene, _, what = row.rpartition(": ")
        scenes.setdefault(scene, {})[what] = drawn
    for scene, rows in scenes.items():
        yield write_sheet(f"{name}-{scene}" if scene else name, rows), f": {scene}" if scene else ""


if __name__ == "__main__":
    sys.exit(main())
