"""The adapters of one model by name, read when a picture first needs them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor

from negativa.denoisers.adapters.adapter import Adapter, fit
from negativa.denoisers.adapters.encoder import Encoder, width_of
from negativa.denoisers.adapters.files import Checkpoint, Kind, read
from negativa.denoisers.adapters.joint import JointAdapter, JointNetwork, fit_joint
from negativa.denoisers.kept import Kept, bytes_of
from negativa.errors import InputError
from negativa.plain.images import Blank, Image

Network = UNet2DConditionModel | JointNetwork
Place = str | os.PathLike[str]
Given = Place | Mapping[str, Place] | Sequence[Place]
OWN: Final = "ip_adapter"  # where a model's folder keeps its own
BESIDE: Final = ("image_encoder", "../image_encoder", "../models/image_encoder", "../clip")  # from an adapter's folder
INSIDE: Final = ("image_encoder", "clip")  # of a model's folder
KEPT: Final = 2**28  # bytes of pictures' tokens that are kept


class Adapters(Mapping[str, Any]):
    """Those that are `given`, by name or as a list, and those in the model's `folder` under their files' names.

    One of a list goes by its file's name without the ending, and the first of a kind by its kind too: "base", "plus",
    "full", "face", or "base" again for the one of Stable Diffusion 3. `image_encoder` is a folder; without it the usual
    places are searched. Files that are given are read at once.
    Raises `InputError` for a file that is no adapter.
    """

    def __init__(
        self,
        network: Network,
        given: Given = (),
        folder: Path | None = None,
        image_encoder: Place | None = None,
    ) -> None:
        self._network, self._folder = network, folder
        self._encoder = None if image_encoder is None else Path(image_encoder)
        self._sources: dict[str, Path | Checkpoint] = {}
        several = [given] if isinstance(given, str | os.PathLike) else given
        named = several.items() if isinstance(several, Mapping) else [(None, path) for path in several]
        files: dict[str, Path] = {}
        for name, path in named:
            checkpoint = read(path)
            if name is None and files.setdefault(checkpoint.path.stem, checkpoint.path) != checkpoint.path:
                both = f"{str(files[checkpoint.path.stem])!r} and {str(checkpoint.path)!r}"
                raise InputError(f"adapters: {both} were given, which have one name; allowed: names of their own")
            self._sources[name or checkpoint.path.stem] = checkpoint
            if name is None:
                self._sources.setdefault("base" if checkpoint.kind == "timed" else checkpoint.kind, checkpoint)
        for path in sorted((folder / OWN).glob("*.safetensors")) if folder else ():
            self._sources.setdefault(path.stem, path)
        self._fitted: dict[str, Adapter | JointAdapter] = {}
        self._encoders: dict[Path, Encoder] = {}
        self._tokens = Kept[Tensor](KEPT, bytes_of)

    def __iter__(self) -> Iterator[str]:
        return iter(self._sources)

    def __len__(self) -> int:
        return len(self._sources)

    def __contains__(self, name: object) -> bool:
        return name in self._sources

    def __getitem__(self, name: str) -> Adapter | JointAdapter:
        """Raises `InputError` if its file is none for this model."""
        if name not in self._fitted:
            fitting = fit if isinstance(self._network, UNet2DConditionModel) else fit_joint
            self._fitted[name] = fitting(name, self._checkpoint(name), self._network)
        return self._fitted[name]

    def tokens(self, picture: Image | Blank) -> Tensor:
        """What its adapter makes of a picture, or of none: (tokens, width). Raises `InputError` if it cannot be read."""

        def made() -> Tensor:
            adapter = self[picture.adapter]
            seen = self._face(picture, adapter) if adapter.kind == "face" else self._seen(picture, adapter)
            return adapter.tokens(seen)

        return self._tokens.get((picture.adapter, picture.kind if isinstance(picture, Blank) else picture.digest), made)

    def _seen(self, picture: Image | Blank, adapter: Adapter | JointAdapter) -> Tensor:
        """What the image encoder says of a picture, or of none."""
        pixels = None if isinstance(picture, Blank) else picture.pixels()
        encoder = self._encoder_of(picture.adapter, adapter.kind)
        if pixels is not None:
            return encoder.features(pixels, adapter.kind)
        return encoder.blank(adapter.no_image if picture.kind == "trained" else picture.kind, adapter.kind)

    def _face(self, face: Image | Blank, adapter: Adapter | JointAdapter) -> Tensor:
        """The embedding of a face, or of none, (1, width)."""
        if isinstance(face, Blank) and face.kind not in ("trained", "zeros"):
            raise InputError(f"no_image: {face.kind!r} was given; allowed with the face adapter {adapter.name!r}: zeros")
        numbers = torch.zeros(adapter.width) if isinstance(face, Blank) else torch.from_numpy(face.embedding())
        if len(numbers) != adapter.width:
            raise InputError(f"image: a face of {len(numbers)} numbers was given; {adapter.name!r} reads {adapter.width}")
        return numbers[None].to(self._network.device, self._network.dtype)

    def _checkpoint(self, name: str) -> Checkpoint:
        source = self._sources[name]
        if isinstance(source, Path):
            source = self._sources[name] = read(source)
        return source

    def _encoder_of(self, name: str, kind: Kind) -> Encoder:
        """The encoder that an adapter was trained with. Raises `InputError` if there is none where it usually is."""
        checkpoint = self._checkpoint(name)
        usual = [checkpoint.path.parent / place for place in BESIDE]
        usual += [self._folder / place for place in INSIDE] if self._folder else []
        places = usual if self._encoder is None else [self._encoder]
        widths = {place: width for place in places if (width := width_of(place, kind)) is not None}
        if not widths:
            tower = "SigLIP's" if kind == "timed" else "CLIP's"
            searched = ", ".join(dict.fromkeys(str(place.resolve()) for place in places))
            raise InputError(f"image encoder: {name!r} needs one, there is none in {searched}; allowed: a folder of {tower}")
        fitting = [place for place, width in widths.items() if width == checkpoint.width]
        if not fitting:
            place, width = next(iter(widths.items()))
            raise InputError(
                f"image encoder: {str(place)!r} says {width} numbers; the adapter {name!r} reads {checkpoint.width}"
            )
        place = fitting[0].resolve()
        if place not in self._encoders:
            self._encoders[place] = Encoder(place, kind, self._network.device, self._network.dtype)
        return self._encoders[place]
