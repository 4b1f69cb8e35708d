"""CLIP, of weights that the user names: pictures and texts as directions in one space."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from negativa.measures.pictures import remembered
from negativa.plain.pretrained import read_clip

if TYPE_CHECKING:
    from PIL import Image


class Clip:
    """A CLIP model, on the CPU in float32. Radford et al. 2021, arXiv 2103.00020."""

    def __init__(self, weights: str) -> None:
        """`weights` is a folder or a Hugging Face id. Raises `InputError` if no CLIP model can be read from it."""
        self._model, self._processor = read_clip("weights", weights)
        self.sharpness = self._model.logit_scale.exp().item()  # what cosines are multiplied with before a softmax
        self._image = remembered(self._embed_image)

    def images(self, images: Sequence[Image.Image]) -> np.ndarray:
        """Unit vectors of pictures, (pictures, features), float64."""
        return np.stack([self._image(image) for image in images])

    def texts(self, texts: Sequence[str]) -> np.ndarray:
        """Unit vectors of texts, (texts, features), float64; what is longer than the model reads is cut."""
        return np.stack([self._embed_text(text) for text in texts])

    def _embed_image(self, image: Image.Image) -> np.ndarray:
        inputs = self._processor(images=image.convert("RGB"), return_tensors="pt")
        return self._unit(self._model.get_image_features, inputs)

    def _embed_text(self, text: str) -> np.ndarray:
        longest = self._model.config.text_config.max_position_embeddings
        inputs = self._processor(text=[text], truncation=True, max_length=longest, return_tensors="pt")
        return self._unit(self._model.get_text_features, inputs)

    @staticmethod
    def _unit(features: Callable[..., Any], inputs: dict[str, Any]) -> np.ndarray:
        import torch

        with torch.inference_mode():
            vector = features(**inputs).pooler_output[0].double().numpy()
        return vector / np.linalg.norm(vector)


@cache
def clip(weights: str) -> Clip:
    """The CLIP model of these weights, read once. Raises `InputError` if it cannot be read."""
    return Clip(weights)
