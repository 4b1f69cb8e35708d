"""The reader: from a picture to the probability of every attribute of this world."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from negativa.errors import InputError
from negativa.plain.quiet import quiet
from negativa.terrarium.canvas import SIZE
from negativa.terrarium.painter import ATTRIBUTES

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

FOLDER: Final = Path(__file__).parent / "weights" / "reader"


def read(image: Image.Image) -> dict[str, float]:
    """Probability (0 to 1) of every attribute, named as in captions; the picture is 128x128.

    Raises `InputError` for another size, or what is no picture.
    """
    return read_many([image])[0]


def read_many(images: Sequence[Image.Image]) -> list[dict[str, float]]:
    """`read` for many pictures in one call of the network."""
    import torch

    network, pixels = _network(), _pixels(images)
    with torch.inference_mode():
        logits = network(pixels).logits
    names = [network.config.id2label[i] for i in range(logits.shape[1])]
    return [dict(zip(names, map(float, row), strict=True)) for row in logits.sigmoid()]


def named(texts: Iterable[str]) -> set[str]:
    """The attributes that stand in some texts by their own names, as whole words, in capitals or not."""
    pattern = re.compile(rf"\b(?:{'|'.join(map(re.escape, ATTRIBUTES))})\b", re.IGNORECASE)
    return {match.group().lower() for text in texts for match in pattern.finditer(text)}


def features(images: Sequence[Image.Image]) -> np.ndarray:
    """What the reader sees before it decides, (pictures, features), float64; for distances between sets of pictures.

    Raises `InputError` for another size than 128x128.
    """
    import torch

    network = _network()
    with torch.inference_mode():
        seen = [network.resnet(_pixels(images[i : i + 50])).pooler_output.flatten(1) for i in range(0, len(images), 50)]
    return torch.cat(seen).double().numpy()


def to_tensor(pictures: np.ndarray) -> Tensor:
    """Pictures (n, height, width, 3), uint8, as networks see them: (n, 3, height, width) from -1 to 1, float32."""
    import torch

    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1


def _pixels(images: Sequence[Image.Image]) -> Tensor:
    from PIL.Image import Image

    for image in images:
        if not isinstance(image, Image):
            raise InputError(f"image: {image!r:.80} was given; allowed: a picture of PIL, as PIL.Image.open reads it")
        if image.size != (SIZE, SIZE):
            raise InputError(f"image: {image.width}x{image.height} was given; allowed: {SIZE}x{SIZE}, as terrarium draws")
    return to_tensor(np.stack([np.asarray(image.convert("RGB")) for image in images]))


@cache
def _network() -> Any:
    import torch
    from transformers import ResNetForImageClassification

    with quiet():
        return ResNetForImageClassification.from_pretrained(FOLDER, torch_dtype=torch.float32).eval()
