"""What a token is learned from: a folder of pictures, and texts that say nothing of them but the token."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch
from PIL import Image as pillow
from PIL import ImageOps
from torch import Tensor

from negativa.denoisers.unet import UNetDiffusion
from negativa.errors import InputError
from negativa.plain.images import upright
from negativa.terrarium.reader import to_tensor
from negativa.training.progress import Notice, Progress

#: What a caption says, the token in the place of {}: the first is how the token is used afterwards.
TEMPLATES: Final = {
    "style": (
        "in the style of {}",
        "a picture in the style of {}",
        "an image in the style of {}",
        "a photo in the style of {}",
        "a drawing in the style of {}",
        "a portrait in the style of {}",
        "a landscape in the style of {}",
        "a scene in the style of {}",
    ),
    "object": (
        "a picture of {}",
        "an image of {}",
        "a photo of {}",
        "a photo of one {}",
        "a photo of my {}",
        "a close-up of {}",
        "a bright photo of {}",
        "a dark photo of {}",
        "{} from afar",
    ),
    "plain": ("{}",),
}


def digest_of(files: Sequence[Path]) -> str:
    """Sixteen hexadecimal digits of what the files hold."""
    try:
        parts = [hashlib.sha256(file.read_bytes()).digest() for file in files]
    except OSError as error:
        raise InputError(f"pictures: {error.filename!r} could not be read: {error.strerror}") from error
    return hashlib.sha256(b"".join(parts)).hexdigest()[:16]


def encoded(files: Sequence[Path], denoiser: UNetDiffusion) -> Generator[Progress | Notice, None, Tensor]:
    """The pictures as a model's latents, (n, channels, height, width), float32: scaled to its size, the middle cut out.

    A file that is no picture, or a damaged one, is left out, and said. Raises `InputError` if none is left.
    """
    found, side = list[Tensor](), (denoiser.size, denoiser.size)
    for i, file in enumerate(files):
        try:
            picture = ImageOps.fit(upright(file), side, pillow.Resampling.BICUBIC)
        except InputError as error:
            yield Notice(f"left out: {error}")
        else:
            with torch.no_grad():
                found.append(denoiser.to_latents(to_tensor(np.array(picture)[None])))
        yield Progress("encoding", i + 1, len(files))
    if not found:
        raise InputError(f"pictures: none of the {len(files)} files could be read; allowed: pictures, one a file")
    return torch.cat(found).to(denoiser.device)
