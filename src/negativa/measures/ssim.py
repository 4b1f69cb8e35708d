"""SSIM: how much of a picture's structure stayed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

from negativa.errors import InputError
from negativa.measures.measure import Measure, Shot
from negativa.measures.pictures import pairs, pixels

if TYPE_CHECKING:
    from PIL import Image

WINDOW: Final = 11  # pixels a side, of the Gaussian window


@dataclass(frozen=True)
class SSIM(Measure):
    """Structural similarity to the picture without the negative, mean over colour channels: 1 is equal, 0 unrelated.

    Wang et al. 2004, "Image quality assessment: from error visibility to structural similarity", equation 13, with its
    Gaussian window of 11 pixels, as scikit-image computes it. It is strict: things that move by a few pixels count as changed.
    """

    name: ClassVar = "ssim"
    unit: ClassVar = "structural similarity, at most 1"
    better: ClassVar = "more"
    over: ClassVar = "pair"

    def score(self, shots: Sequence[Shot]) -> list[float]:
        return [structural_similarity(before, after) for before, after in pairs(self, shots)]


def structural_similarity(before: Image.Image, after: Image.Image) -> float:
    """SSIM of two pictures of one size. Raises `InputError` if they are smaller than its window."""
    from skimage.metrics import structural_similarity as ssim

    if min(after.size) < WINDOW:
        size = "x".join(map(str, after.size))
        raise InputError(f"ssim: a picture of {size} was given; allowed: at least {WINDOW}x{WINDOW}")
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    return float(ssim(pixels(before), pixels(after), channel_axis=2, data_range=255, **settings))  # type: ignore[arg-type]
