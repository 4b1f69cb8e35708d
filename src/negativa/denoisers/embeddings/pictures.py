"""AUTOMATIC1111's embedding pictures: a PNG whose text, or whose pixels, hold the embedding as JSON.

The text chunk is base64. In the pixels two blocks stand left and right of the picture, each parted from it by a black
column: the low and the high half of every byte, in the lowest four bits of the colours, masked by a fixed random stream;
the bytes together are compressed with zlib.
"""

from __future__ import annotations

import base64
import io
import json
import zlib
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from negativa.errors import InputError

CHUNK: Final = "sd-ti-embedding"
LARGEST: Final = 2**24  # pixels, and bytes of JSON: several times those of 75 vectors of the widest model


class Plain(InputError):
    """A picture that holds no embedding."""


def load(raw: bytes) -> Any:
    """The values in a picture, tensors as float32.

    Raises `Plain`, without the file's name, if there is no embedding in it, `InputError` if there is none that can be used, and
    other errors if it is no picture.
    """
    with Image.open(io.BytesIO(raw)) as image:
        if image.width * image.height > LARGEST:
            raise InputError(f"is {image.width}x{image.height} pixels large; allowed: at most {LARGEST} pixels")
        image.load()
        text = image.info.get(CHUNK)
        written = base64.b64decode(text) if isinstance(text, str) else _hidden(np.asarray(image.convert("RGB")))
    if len(written) > LARGEST:
        raise InputError(f"unpacks to more than the {LARGEST >> 20} MB allowed")
    return _tensors(json.loads(written))


def masked(block: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Mask the low four bits of a block, or unmask them: a linear congruential generator modulo 2^32, then modulo 255."""
    powers = np.full(block.size, 1664525, np.uint32)
    powers[:1] = 1
    states = np.cumsum(np.cumprod(powers, dtype=np.uint32), dtype=np.uint32) * np.uint32(1013904223)
    return block ^ ((states % 255).astype(np.uint8) & 0x0F).reshape(block.shape)


def _hidden(pixels: NDArray[np.uint8]) -> bytes:
    """The JSON in the pixels."""
    lit = (pixels > 0).all(2)
    rows, columns = np.flatnonzero(lit.any(1)), np.flatnonzero(lit.any(0))
    if rows.size:
        low = pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] & 0x0F
        black = np.flatnonzero(~low.any((0, 2)))
        left, right = (low[:, : black[0]], low[:, black[-1] + 1 :]) if black.size > 1 else (low, low[:, :0])
        if left.shape == right.shape and left.size:
            packed = masked(left) | masked(right) << 4
            unpacking = zlib.decompressobj()
            try:
                return unpacking.decompress(packed.tobytes(), LARGEST + 1)
            except zlib.error:
                pass  # a picture with two black columns, and nothing in it
    raise Plain(f"holds no embedding; allowed: a PNG with a {CHUNK!r} text or with an embedding in its pixels")


def _tensors(value: Any) -> Any:
    """The parsed JSON with {"TORCHTENSOR": nested lists} as tensors, in the places where layouts have them."""
    if isinstance(value, dict):
        return {key: _tensor(one) for key, one in value.items()}
    return value


def _tensor(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if "TORCHTENSOR" not in value:
        return {key: _tensor(one) if isinstance(one, dict) and "TORCHTENSOR" in one else one for key, one in value.items()}
    return _numbers(value["TORCHTENSOR"])


def _numbers(nested: object) -> Tensor:
    return torch.tensor(nested, dtype=torch.float32)
