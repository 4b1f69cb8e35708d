"""What measures share: pixels as numbers, pairs that fit, and work on one picture remembered."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np

from negativa.errors import InputError

if TYPE_CHECKING:
    from PIL import Image

    from negativa.measures.measure import Measure, Shot

MOST: Final = 4096  # pictures remembered
LUMA: Final = (0.299, 0.587, 0.114)  # Rec. 601

Found = TypeVar("Found")


def pixels(image: Image.Image) -> np.ndarray:
    """The picture as (height, width, 3), float64, 0 to 255."""
    return np.asarray(image.convert("RGB"), dtype=np.float64)


def luma(image: Image.Image) -> np.ndarray:
    """How bright the picture is, (height, width), float64, 0 to 255; the weights are those of Rec. 601."""
    return pixels(image) @ np.array(LUMA)


def pairs(measure: Measure, shots: Sequence[Shot]) -> list[tuple[Image.Image, Image.Image]]:
    """Each picture's `before` and itself. Raises `InputError` where there is none, or it has another size."""
    found: list[tuple[Image.Image, Image.Image]] = []
    for shot in shots:
        if shot.before is None:
            who = f"the picture of seed {shot.recipe.seed}"
            raise InputError(f"{measure.name}: {who} has none without the negative beside it; allowed: pictures that have one")
        if shot.before.size != shot.image.size:
            one, other = ("x".join(map(str, image.size)) for image in (shot.before, shot.image))
            raise InputError(f"{measure.name}: pictures of {one} and {other} were given; allowed: two of one size")
        found.append((shot.before, shot.image))
    return found


def several(measure: Measure, shots: Sequence[Shot]) -> list[Image.Image]:
    """The pictures of an arm. Raises `InputError` if they are fewer than two."""
    if len(shots) < 2:
        raise InputError(f"{measure.name}: {len(shots)} pictures were given; allowed: two or more, of different seeds")
    return [shot.image for shot in shots]


def remembered(look: Callable[[Image.Image], Found]) -> Callable[[Image.Image], Found]:
    """`look`, done once for pictures of equal content; one picture at a time, so that no number depends on the neighbours."""
    known: dict[bytes, Found] = {}

    def again(image: Image.Image) -> Found:
        content = hashlib.sha256(f"{image.mode} {image.size} ".encode() + image.tobytes()).digest()
        if content not in known:
            if len(known) >= MOST:
                known.clear()
            known[content] = look(image)
        return known[content]

    return again
