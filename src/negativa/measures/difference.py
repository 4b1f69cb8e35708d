"""The difference map: where two pictures differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from negativa.errors import InputError
from negativa.measures.pictures import pixels

if TYPE_CHECKING:
    from PIL import Image


def difference_map(before: Image.Image, after: Image.Image) -> Image.Image:
    """Where two pictures of one size differ: a gray picture, black where they are equal.

    A pixel is the largest absolute difference among red, green and blue, 0 to 255.
    Raises `InputError` for pictures of two sizes.
    """
    from PIL import Image

    if before.size != after.size:
        one, other = ("x".join(map(str, image.size)) for image in (before, after))
        raise InputError(f"difference map: pictures of {one} and {other} were given; allowed: two of one size")
    return Image.fromarray(np.abs(pixels(after) - pixels(before)).max(axis=2).astype(np.uint8))
