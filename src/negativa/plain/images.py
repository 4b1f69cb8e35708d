"""Pictures that stand in a recipe: what a person gives, as plain values, and the pixels behind them.

Whatever the file holds, its pixels are those of its first frame, upright (its EXIF rotation carried out), in RGB: 16 bits are
scaled to 8, and what is transparent lies over white.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from negativa.errors import InputError, nearest
from negativa.plain import faces
from negativa.plain.knobs import number, text
from negativa.plain.windows import check_window, inside

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image as Picture

HEAVIEST: Final = 10.0
LARGEST: Final = 2**26  # pixels
SLENDEREST: Final = 50  # times as wide as high, or as high as wide
HELD: Final = "data:image/png;base64,"  # begins the source of a picture that was in memory
DEEP: Final = ("I", "I;16", "I;16L", "I;16B", "I;16N")  # Pillow's modes of 16 bits
#: What stands where an adapter reads a picture and a pass has none.
NO_IMAGES: Final = {
    "trained": "what the adapter was trained with: zeros for what is seen, the mean colour for Plus, a black picture for Flux",
    "zeros": "zeros in the place of what the image encoder says",
    "gray": "a picture of the mean colour of all pictures",
    "black": "a black picture",
    "noise": "a picture of noise, always the same",
}


@dataclass(frozen=True, init=False)
class Image:
    """A picture as a condition, read by the adapter of that name.

    `source` is a file's path, or a PIL picture, which is kept as a PNG in text, so that recipes stay plain JSON; for an adapter
    that reads a face's embedding (FaceID) that: a .npy file of numpy's, or an array. `weight` is
    the adapter's scale, from 0 (not there) to 10; `start`, `stop`: the share of the steps (0 to 1) in which it acts. `digest`,
    sixteen hexadecimal digits of its size and pixels, is that of the file as it is now if it is not given.
    Raises `InputError` for values out of range, and for a source that is no picture.
    """

    source: str
    adapter: str
    weight: float
    start: float
    stop: float
    digest: str

    def __init__(
        self,
        source: str | os.PathLike[str] | Picture | np.ndarray,
        adapter: str = "base",
        weight: float = 1.0,
        start: float = 0.0,
        stop: float = 1.0,
        digest: str | None = None,
    ) -> None:
        weight, start, stop = number("image weight", weight), number("image start", start), number("image stop", stop)
        check_weight("image", weight, " (to stay away from a picture, give it as a negative)")
        check_window("image", start, stop)
        kept = os.fspath(source) if isinstance(source, str | os.PathLike) else _held(source)
        values: dict[str, Any] = {"source": text("image", kept), "adapter": text("image adapter", adapter)}
        values |= {"weight": weight, "start": start, "stop": stop}
        values["digest"] = _digest_of(kept) if digest is None else _known(digest)
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @property
    def name(self) -> str:
        """The file's path, or the digest of a picture that was in memory."""
        return self.digest if self.source.startswith((HELD, faces.HELD)) else self.source

    @property
    def is_face(self) -> bool:
        """Whether this is a face's embedding and no picture."""
        return faces.is_face(self.source)

    def __repr__(self) -> str:
        return f"Image({self.name!r}, {self.adapter!r}, {self.weight:g}, {self.start:g}, {self.stop:g})"

    def acts_at(self, step: int, steps: int) -> bool:
        """Whether this picture has any effect at step `step` of `steps`."""
        return self.weight != 0 and inside(step, steps, self.start, self.stop)

    def pixels(self) -> Picture:
        """The picture, upright, in RGB. Raises `InputError` if it cannot be read, or is another one than the digest's."""
        if self.is_face:
            raise InputError(f"image: {self.name!r} is a face's embedding; {self.adapter!r} reads pictures")
        found = _read(self.source)
        self._check(_digest(found))
        return found

    def embedding(self) -> np.ndarray:
        """The numbers of a face, (width,), float32. Raises `InputError` as `pixels` does, and for a picture."""
        if not self.is_face:
            raise InputError(f"image: {self.name!r} is a picture; {self.adapter!r} reads a face's embedding (.npy)")
        found = faces.read(self.source)
        self._check(faces.digest(found))
        return found

    def _check(self, digest: str) -> None:
        if digest != self.digest:
            raise InputError(f"image: {self.name!r} is another one than the recipe's; allowed: the one it was written with")

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, every field present."""
        return {"image" if f.name == "source" else f.name: getattr(self, f.name) for f in fields(self)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Image:
        """The inverse of `to_dict`; a file is not opened before its pixels are needed if its digest is among the values.

        Raises `InputError` for unknown fields.
        """
        names = ["image", *(f.name for f in fields(cls) if f.name != "source")]
        for name in values:
            if name not in names:
                raise InputError(f"image: there is no field {name!r}; {nearest(str(name), names)}")
        if "image" not in values:
            raise InputError("image: the field 'image' is missing; allowed: the path of a picture")
        return cls(text("image", values["image"]), **{name: value for name, value in values.items() if name != "image"})


@dataclass(frozen=True)
class Blank:
    """No picture, for the adapter of that name; `kind` is a key of `NO_IMAGES`, or a folder whose mean picture it is."""

    adapter: str
    kind: str = "trained"


def check_weight(field: str, weight: float, hint: str = "") -> None:
    """Raise `InputError` for what is no adapter's scale."""
    if not 0 <= weight <= HEAVIEST:
        raise InputError(f"{field} weight: {weight:g} was given; allowed with a picture: from 0 to {HEAVIEST:g}{hint}")


def is_picture(given: object) -> bool:
    """Whether this is a PIL picture."""
    from PIL.Image import Image as Picture

    return isinstance(given, Picture)


def upright(source: str | os.PathLike[str]) -> Picture:
    """The pixels of a picture file, upright, in RGB. Raises `InputError` if it is none, damaged, or absurdly large."""
    return _read(os.fspath(source))


def _read(source: str) -> Picture:
    from PIL import Image as pillow

    name = "picture in memory" if source.startswith(HELD) else source
    try:
        file = io.BytesIO(base64.b64decode(source.removeprefix(HELD))) if source.startswith(HELD) else _file(source)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of large pictures and odd notes in them
            with pillow.open(file) as picture:
                return _upright(picture, name)
    except InputError:
        raise
    except pillow.DecompressionBombError as error:
        raise InputError(f"image: {name!r} is absurdly large; allowed: at most {LARGEST >> 20} million pixels") from error
    except OSError as error:
        raise InputError(f"image: {name!r} could not be read: {error.strerror or 'no picture, or a damaged one'}") from error
    except Exception as error:  # whatever the readers of forty formats say of damaged files
        raise InputError(f"image: {name!r} could not be read: no picture, or a damaged one") from error


def _file(source: str) -> Path:
    path = Path(source)
    if path.exists() and not path.is_file():
        raise InputError(f"image: {source!r} is no file; allowed: the path of a picture")
    return path


def _upright(picture: Picture, name: str) -> Picture:
    """The pixels of a picture that is open, without what else a file says."""
    from PIL import Image as pillow
    from PIL import ImageOps

    width, height = picture.size
    if width * height > LARGEST or max(width, height) > SLENDEREST * min(width, height):
        shape = f"at most {LARGEST >> 20} million pixels, at most {SLENDEREST} times as long as broad"
        raise InputError(f"image: {name!r} is {width}x{height} pixels large; allowed: {shape}")
    if picture.mode == "F":
        raise InputError(f"image: {name!r} holds fractions; allowed: 8 or 16 bits a colour")
    picture = ImageOps.exif_transpose(picture)
    if picture.mode in DEEP:
        picture = pillow.fromarray(_eight_bits(picture))
    if picture.has_transparency_data:
        clear = picture.convert("RGBA")
        picture = pillow.alpha_composite(pillow.new("RGBA", clear.size, "white"), clear)
    return picture.convert("RGB")


def _eight_bits(picture: Picture) -> Any:
    import numpy as np

    return (np.asarray(picture).astype(float) / 257).round().clip(0, 255).astype(np.uint8)


def _held(given: object) -> str:
    """A PIL picture, or a face's numbers, as text."""
    if not is_picture(given):
        if hasattr(given, "__array_interface__"):
            return faces.held(given)
        raise InputError(f"image: {given!r:.80} was given; allowed: the path of a picture, or a PIL picture")
    file = io.BytesIO()
    try:
        _upright(given, "picture in memory").save(file, "PNG")  # type: ignore[arg-type]
    except (OSError, ValueError, SyntaxError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError("image: the picture in memory could not be read: its file is damaged or closed") from error
    return HELD + base64.b64encode(file.getvalue()).decode()


def _known(digest: object) -> str:
    if not isinstance(digest, str) or not re.fullmatch(r"[0-9a-f]{16}", digest):
        raise InputError(f"image digest: {digest!r:.80} was given; allowed: sixteen hexadecimal digits")
    return digest


def _digest_of(source: str) -> str:
    return faces.digest(faces.read(source)) if faces.is_face(source) else _digest(_read(source))


def _digest(picture: Picture) -> str:
    return hashlib.sha256(f"{picture.width}x{picture.height} ".encode() + picture.tobytes()).hexdigest()[:16]
