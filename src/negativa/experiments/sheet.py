"""A labelled sheet: rows and columns of pictures side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from PIL import Image, ImageDraw, ImageFont

GAP: Final = 4  # pixels between pictures
PAPER: Final = (255, 255, 255)
INK: Final = (40, 40, 40)


def sheet(rows: Sequence[Sequence[Image.Image]], row_labels: Sequence[str], column_labels: Sequence[str] = ()) -> Image.Image:
    """Pictures of one size in rows, a label left of each row and above each column.

    Raises ValueError if there are not as many labels as rows or columns.
    """
    width, height = rows[0][0].size
    columns = max(map(len, rows))
    size = max(11, height // 9)
    font = ImageFont.load_default(size)
    left = GAP * 2 + round(max(font.getlength(label) for label in row_labels))
    top = GAP + (round(size * 1.5) if column_labels else 0)
    page = Image.new("RGB", (left + columns * (width + GAP), top + len(rows) * (height + GAP)), PAPER)
    draw = ImageDraw.Draw(page)
    if column_labels:
        for column, label in zip(range(columns), column_labels, strict=True):
            draw.text((left + column * (width + GAP) + width / 2, top / 2), label, INK, font, anchor="mm")
    for row, (pictures, label) in enumerate(zip(rows, row_labels, strict=True)):
        y = top + row * (height + GAP)
        draw.text((left - GAP, y + height / 2), label, INK, font, anchor="rm")
        for column, picture in enumerate(pictures):
            page.paste(picture, (left + column * (width + GAP), y))
    return page
