"""The image encoder: the vision tower of CLIP, or SigLIP's, and what it says of pictures and of none."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from PIL import Image as pillow
from torch import Tensor
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection, SiglipVisionConfig, SiglipVisionModel

from negativa.denoisers.adapters.files import Kind
from negativa.errors import InputError, nearest
from negativa.language.pictures import files_in
from negativa.plain.images import NO_IMAGES, upright
from negativa.plain.quiet import quiet

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

PICKLE: Final = "pytorch_model.bin"


class Encoder:
    """The vision tower of a folder for adapters of a kind, with the processor beside it or else CLIP's or SigLIP's own.

    Raises `InputError` if there is none, or it cannot be read.
    """

    def __init__(self, folder: Path, kind: Kind, device: torch.device, dtype: torch.dtype) -> None:
        self.folder = folder
        if not any(folder.glob("*.safetensors")):
            has = "only a pickle, which can run code when it is read" if (folder / PICKLE).exists() else "no weights"
            raise InputError(f"image encoder: {str(folder)!r} has {has}; allowed: a folder with config.json and .safetensors")
        try:
            with quiet():
                from transformers import CLIPImageProcessor, SiglipImageProcessor  # say that they are here without torchvision

                tower = SiglipVisionModel if kind == "timed" else CLIPVisionModelWithProjection
                model, found = tower.from_pretrained(folder, dtype=dtype, use_safetensors=True, output_loading_info=True)
                if found["missing_keys"]:
                    raise ValueError("it is no vision tower of that kind")  # transformers would draw their weights by lot
                size = model.config.image_size
                processor, sizes = (
                    (SiglipImageProcessor, {"size": {"height": size, "width": size}})
                    if kind == "timed"
                    else (CLIPImageProcessor, {"size": size, "crop_size": size})
                )
                own = (folder / "preprocessor_config.json").is_file()
                self._processor = processor.from_pretrained(folder) if own else processor(**sizes)
        except Exception as error:  # a damaged file comes out of three libraries
            raise InputError(f"image encoder: {str(folder)!r} could not be read: {error!s:.200}") from error
        self._model = model.to(device).eval().requires_grad_(False)

    def features(self, picture: Picture, kind: Kind) -> Tensor:
        """What an adapter of this kind reads of a picture: its embedding (1, width), or all that is seen (1, places, width)."""
        return self._seen(self._processor(picture, return_tensors="pt").pixel_values, kind)

    def blank(self, no_image: str, kind: Kind) -> Tensor:
        """What it reads where there is no picture: a kind of `NO_IMAGES` but "trained", or a folder's mean.

        Raises `InputError`.
        """
        match no_image:
            case "zeros":
                return torch.zeros_like(self._seen(self._gray, kind))
            case "gray":
                return self._seen(self._gray, kind)  # zeros after the processor has taken the mean colour off
            case "black":
                return self.features(pillow.new("RGB", self._size), kind)
            case "noise":
                width, height = self._size
                colours = np.random.default_rng(0).integers(256, size=(height, width, 3), dtype=np.uint8)
                return self.features(pillow.fromarray(colours), kind)
        return torch.stack([self.features(upright(path), kind) for path in _pictures(no_image)]).mean(0)

    @cached_property
    def _gray(self) -> Tensor:
        width, height = self._size
        return torch.zeros(1, 3, height, width)

    @property
    def _size(self) -> tuple[int, int]:
        return self._model.config.image_size, self._model.config.image_size

    def _seen(self, pixels: Tensor, kind: Kind) -> Tensor:
        return features_of(self._model, pixels, kind)


@torch.no_grad()
def features_of(vision: CLIPVisionModelWithProjection | SiglipVisionModel, pixels: Tensor, kind: Kind) -> Tensor:
    """What an adapter is shown of pictures (n, 3, height, width): their embeddings (base), or the last states but one."""
    seen = vision(pixels.to(vision.device, vision.dtype), output_hidden_states=kind != "base")
    return seen.image_embeds if kind == "base" else seen.hidden_states[-2]


def width_of(folder: Path, kind: Kind) -> int | None:
    """The width of what the encoder of a folder says to an adapter of this kind, None if there is none."""
    if not (folder / "config.json").is_file():
        return None
    try:
        with quiet():
            config = (SiglipVisionConfig if kind == "timed" else CLIPVisionConfig).from_pretrained(folder)
    except Exception as error:  # whatever transformers says of a damaged file
        raise InputError(f"image encoder: the config.json of {str(folder)!r} could not be read") from error
    return config.projection_dim if kind == "base" else config.hidden_size


def _pictures(folder: str) -> list[Path]:
    place = Path(folder)
    if not place.is_dir():
        raise InputError(f"no_image: {folder!r} was given; {nearest(folder, NO_IMAGES)}, or a folder of pictures")
    return files_in("no_image", place)
