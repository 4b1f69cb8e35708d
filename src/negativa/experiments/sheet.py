"""A labelled sheet: rows and columns of pictures side by side."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, Literal

from PIL import Image, ImageDraw, ImageFont

GAP: Final = 4  # pixels between pictures
PAPER: Final = (255, 255, 255)
INK: Final = (40, 40, 40)
LEAST: Final = 11  # pixels, of a letter's height
LAST_RESORT: Final = "lastresort"  # how the names of fonts begin that have a box for every letter
TAGS: Final = {  # paper and ink: the colours of Max Woolf's grids for Stable Diffusion 2.0 (2022)
    "plain": ((255, 255, 255), (0, 0, 0)),
    "positive": ((39, 174, 96), (255, 255, 255)),
    "negative": ((192, 57, 43), (255, 255, 255)),
}


@dataclass(frozen=True)
class Tag:
    """A small label inside a picture: what was added to the prompt, to the negative, or nothing at all."""

    text: str
    kind: Literal["plain", "positive", "negative"] = "plain"


def sheet(
    rows: Sequence[Sequence[Image.Image]], row_labels: Sequence[str] = (), column_labels: Sequence[str] = ()
) -> Image.Image:
    """Pictures in rows, a label left of each row and above each column, or none of either.

    Each stands in the middle of a cell that the largest fits into. A label that has no room is written smaller, then cut.
    Raises ValueError if there are labels, but not as many as rows or columns.
    """
    width, height = largest(picture.size for pictures in rows for picture in pictures)
    columns = max(map(len, rows))
    size = max(LEAST, height // 9)
    texts = [_fitted(label, size, 2 * width) for label in row_labels]
    left = GAP + (GAP + round(max(font.getlength(text) for text, font in texts)) if texts else 0)
    top = GAP + (round(size * 1.5) if column_labels else 0)
    page = Image.new("RGB", (left + columns * (width + GAP), top + len(rows) * (height + GAP)), PAPER)
    draw = ImageDraw.Draw(page)
    if column_labels:
        for column, label in zip(range(columns), column_labels, strict=True):
            text, font = _fitted(label, size, width)
            draw.text((left + column * (width + GAP) + width / 2, top / 2), text, INK, font, anchor="mm")
    if texts:
        for row, (text, font) in zip(range(len(rows)), texts, strict=True):
            draw.text((left - GAP, top + row * (height + GAP) + height / 2), text, INK, font, anchor="rm")
    for row, pictures in enumerate(rows):
        for column, picture in enumerate(pictures):
            x, y = left + column * (width + GAP), top + row * (height + GAP)
            page.paste(picture, (x + (width - picture.width) // 2, y + (height - picture.height) // 2))
    return page


def largest(sizes: Iterable[tuple[int, int]]) -> tuple[int, int]:
    """The width and height that pictures of these sizes fit into. Raises ValueError if there are none."""
    widths, heights = zip(*sizes, strict=True)
    return max(widths), max(heights)


def tagged(picture: Image.Image, tags: Sequence[Tag]) -> Image.Image:
    """A copy of the picture with its tags at the top left, one under another, in capitals.

    Sizes are those of the original grids: of a picture 512 pixels wide a tag takes 200x50.
    """
    copy = picture.convert("RGB")
    draw = ImageDraw.Draw(copy)
    unit = copy.width / 1024  # the originals drew their tags at double size, 400x100
    for i, tag in enumerate(tags):
        paper, ink = TAGS[tag.kind]
        text, font = _fitted(tag.text.upper(), max(1, round(70 * unit)), copy.width - 20 * unit, bold=True)
        wide, tall = max(400 * unit, font.getlength(text) + 20 * unit), 100 * unit
        draw.rectangle((0, round(i * tall), round(wide) - 1, round((i + 1) * tall) - 1), paper)
        draw.text((10 * unit, (i + 0.5) * tall), text, ink, font, anchor="lm")
    return copy


def _fitted(text: str, size: float, room: float, bold: bool = False) -> tuple[str, ImageFont.FreeTypeFont]:
    """The text, if need be without its middle, and a font in which it takes at most `room` pixels."""
    file = _font_file(text, bold)
    font = _font(file, size)
    if font.getlength(text) > room:
        font = _font(file, max(min(LEAST, size), size * room / font.getlength(text)))
    whole, left = text, len(text)
    while left and font.getlength(text) > room:  # both ends stay: labels of arms differ in their last words
        left -= 1
        text = f"{whole[: left - left // 2]}…{whole[len(whole) - left // 2 :]}"
    return text, font


@cache
def _font(file: Path, size: float) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(file, size)


@cache
def _font_file(text: str, bold: bool) -> Path:
    """The usual font, or if it lacks a letter of the text, the first of this machine that has them all."""
    import matplotlib  # brings fonts that know the alphabets, and knows what others are installed

    usual = Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSansMono-Bold.ttf" if bold else "DejaVuSans.ttf")
    letters = {ord(letter) for letter in text if letter.isprintable()}
    if letters <= _letters(usual):
        return usual
    from matplotlib.font_manager import fontManager

    named = ((Path(one.fname), re.sub(r"\W", "", one.name).casefold()) for one in fontManager.ttflist)
    files = sorted({file for file, name in named if not name.startswith(LAST_RESORT)})
    return next((file for file in files if letters <= _letters(file)), usual)


@cache
def _letters(file: Path) -> frozenset[int]:
    """The code points that a font has; none of one that is gone or damaged."""
    from matplotlib.ft2font import FT2Font

    try:
        return frozenset(FT2Font(str(file)).get_charmap())
    except (OSError, RuntimeError):
        return frozenset()
