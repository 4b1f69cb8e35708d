"""What terrarium's reader says about pictures, for the measures that ask it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from negativa.errors import InputError
from negativa.measures.pictures import remembered
from negativa.terrarium import read
from negativa.terrarium.canvas import SIZE
from negativa.terrarium.reader import features as reader_features

if TYPE_CHECKING:
    from PIL import Image

    from negativa.measures.measure import Measure, Shot

SQUARES: Final = 16  # a side, of a picture that the reader does not know

reading = remembered(read)
_seen = remembered(lambda image: reader_features([image])[0])


def is_terrarium(shot: Shot) -> bool:
    """Whether the reader knows such a picture: made by terrarium, at its own size."""
    return shot.recipe.model in (None, "terrarium") and shot.image.size == (SIZE, SIZE)


def insist(measure: Measure, shots: Sequence[Shot], otherwise: str = "") -> None:
    """Raise `InputError` unless the reader knows all of the pictures; `otherwise` is how else the measure could be asked."""
    for shot in shots:
        if not is_terrarium(shot):
            given = f"{shot.recipe.model or 'terrarium'}'s, {shot.image.width}x{shot.image.height},"
            allowed = f"terrarium's, {SIZE}x{SIZE}" + (f", or {otherwise}" if otherwise else "")
            raise InputError(f"{measure.name}: a picture of {given} was given; allowed: {allowed}")


def found(image: Image.Image) -> set[str]:
    """The attributes that the reader finds in a picture: those of probability above 0.5."""
    return {name for name, probability in reading(image).items() if probability > 0.5}


def features(shots: Sequence[Shot]) -> np.ndarray:
    """Each picture as a row of numbers, (pictures, features), float64: what the reader sees before it decides.

    If any picture is not terrarium's: its colours in 16x16 squares, -1 to 1.
    """
    if all(map(is_terrarium, shots)):
        return np.stack([_seen(shot.image) for shot in shots])
    return np.stack([squares(shot.image, SQUARES).ravel() * 2 - 1 for shot in shots])


def squares(image: Image.Image, side: int) -> np.ndarray:
    """The picture's mean colours in `side` by `side` squares, (side, side, 3), float64, 0 to 1."""
    from PIL import Image

    return np.asarray(image.convert("RGB").resize((side, side), Image.Resampling.BOX), dtype=np.float64) / 255


def similarity(shots: Sequence[Shot]) -> np.ndarray:
    """Cosine of every two pictures' `features`, (pictures, pictures), ones on the diagonal."""
    rows = features(shots)
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True).clip(1e-12)
    cosines = rows @ rows.T
    np.fill_diagonal(cosines, 1.0)
    return cosines
