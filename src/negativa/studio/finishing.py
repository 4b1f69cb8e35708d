"""What a walk ends in: its latents decoded, and the receipt of how the picture was made."""

from __future__ import annotations

import hashlib
import platform
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from os import PathLike
from typing import TYPE_CHECKING, Final, NamedTuple

from negativa.errors import ModelError
from negativa.notices import said_of
from negativa.plain.receipt import OUT_OF_RANGE, Receipt
from negativa.plain.recipe import Recipe
from negativa.sampling.engine import Running
from negativa.sampling.memory import is_short, size_of
from negativa.sampling.networks import Networks, schedule_of
from negativa.sampling.stages import asked_of, images_of, texts_of

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

    from negativa.denoisers.denoiser import Denoiser

IN_TILES: Final = (
    "memory was too short to decode the picture as a whole: it was decoded in tiles, whose tones may differ a little"
)
PIXELS: Final = 2**16  # decoded in one call, of small pictures: one of terrarium's alone leaves cores idle


@dataclass(frozen=True)
class Result:
    """A picture (`image`, PIL, RGB), its latents (channels, height, width, float32, CPU) and its receipt.

    `index` is the number of its recipe among those that were asked for together.
    """

    image: Image.Image
    latents: Tensor
    receipt: Receipt
    index: int = 0

    def save(self, path: str | PathLike[str], overwrite: bool = False) -> None:
        """Write the picture with its recipe and receipt inside, as `negativa.save` does."""
        from negativa.language import pictures

        pictures.save(path, self.image, self.receipt, overwrite)


class Ended(NamedTuple):
    """A walk that has ended, and the complete recipe it was of."""

    recipe: Recipe
    walk: Running
    latents: Tensor


@dataclass
class Finishing:
    """Makes the results of walks that have ended; `seconds` counts those spent decoding.

    `reproducible` decodes every picture by itself, so that it does not depend on its neighbours.
    """

    denoiser: Denoiser
    networks: Networks
    reproducible: bool
    seconds: float = 0.0

    def calls(self, ended: Sequence[Ended]) -> Iterator[list[Ended]]:
        """The walks that are decoded in one call, call by call: those of one size, several if they are small."""
        alike: dict[tuple[int, ...], list[Ended]] = {}
        for one in ended:
            alike.setdefault(tuple(one.latents.shape), []).append(one)
        for some in alike.values():
            pixels = (some[0].recipe.width or 0) * (some[0].recipe.height or 0)
            together = 1 if self.reproducible else max(1, PIXELS // pixels)
            yield from (some[i : i + together] for i in range(0, len(some), together))

    def results(self, call: Sequence[Ended]) -> list[Result]:
        """The results of walks that are decoded in one call."""
        started = time.perf_counter()
        decoded = self._decoded([one.latents for one in call])
        self.seconds += time.perf_counter() - started
        return [
            Result(image, one.latents, self._receipt(one, notices), one.walk.key)
            for (image, notices), one in zip(decoded, call, strict=True)
        ]

    def _decoded(self, latents: Sequence[Tensor], tiled: bool = False) -> list[tuple[Image.Image, tuple[str, ...]]]:
        """The pictures and what is to be said of each; one at a time, then in tiles, where memory is short."""
        try:
            decoded = self.denoiser.decode(latents, tiled)
            return [
                (image or self._black(one), (IN_TILES,) * tiled + (OUT_OF_RANGE,) * (image is None))
                for image, one in zip(decoded, latents, strict=True)
            ]
        except RuntimeError as error:
            if not is_short(error):
                raise
            if tiled:
                size = size_of(latents[0])
                raise ModelError(f"width and height: {size} latents cannot be decoded in the device's memory") from error
        if len(latents) == 1:  # only now has the failed call let go of what it held
            return self._decoded(latents, tiled=True)
        return [picture for one in latents for picture in self._decoded([one])]

    def _black(self, latents: Tensor) -> Image.Image:
        """What stands where no picture could be decoded."""
        from PIL import Image

        height, width = (side * self.denoiser.factor for side in latents.shape[1:])
        return Image.new("RGB", (width, height))

    def _receipt(self, one: Ended, notices: tuple[str, ...]) -> Receipt:
        recipe, walk, latents = one
        notices += said_of(recipe, self.denoiser)
        if OUT_OF_RANGE not in notices and not latents.isfinite().all():
            notices += (OUT_OF_RANGE,)
        return Receipt(
            recipe=recipe,
            rows_asked=walk.rows_asked,
            rows_run=walk.rows_run,
            seconds=round(time.perf_counter() - walk.started, 3),
            notices=notices,
            reproducible=self.reproducible,
            embeddings={name: digest for _, words in texts_of(recipe) for name, digest in self.denoiser.learned(words).items()},
            adapters=self._adapters(recipe),
            loras={
                file: self.denoiser.lora(file).hash for file, weight in (*recipe.loras, *recipe.weaker_loras) if weight != 0
            },
            weaker_hash=self.networks.weaker_hash(recipe),
            versions=_versions(),
            device=self.denoiser.device,
            dtype=self.denoiser.dtype,
            model_hash=self.denoiser.hash,
            latents_hash=hashlib.sha256(latents.numpy().tobytes()).hexdigest()[:16],
        )

    def _adapters(self, recipe: Recipe) -> dict[str, str]:
        """The adapters that a recipe's images were read through, with the hashes of their files."""
        asked = asked_of(recipe, schedule_of(recipe, self.denoiser)).values()
        passes = (one for passes in asked for one in passes if one.model is None)
        names = dict.fromkeys(image.adapter for one in passes for image in images_of(one))
        return {name: self.denoiser.adapters[name].hash for name in names}


@cache
def _versions() -> dict[str, str]:
    packages = ("negativa", "torch", "diffusers", "transformers", "peft")
    return {"python": platform.python_version()} | {name: version(name) for name in packages}
