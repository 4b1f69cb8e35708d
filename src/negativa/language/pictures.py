"""Picture files: written whole or not at all, never over another, and read again with what made them."""

from __future__ import annotations

import json
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from PIL import Image, UnidentifiedImageError
from PIL.ExifTags import IFD, Base
from PIL.PngImagePlugin import PngInfo

from negativa.errors import InputError
from negativa.language import infotext, others
from negativa.language.files import check_target, output
from negativa.language.infotext import Infotext
from negativa.plain.receipt import Receipt
from negativa.plain.recipe import Recipe

CHUNK: Final = "negativa"  # PNG text chunk, and key in the EXIF description, of the receipt as JSON
FORMATS: Final = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}  # that are written
ENDINGS: Final = (*FORMATS, ".bmp", ".gif", ".tif", ".tiff")  # of what is read
UNICODE: Final = b"UNICODE\0"  # EXIF 2.3, table 9: how a UserComment names its encoding
QUALITY: Final = 95


@dataclass(frozen=True)
class Made:
    """What a picture file says of itself.

    `parameters` is the infotext as written ("" if none), `infotext` what it, or another program in its own way, says,
    `receipt` ours as plain values (None in the pictures of others). `damaged` says that there was a receipt of ours that
    could not be read.
    """

    parameters: str
    infotext: Infotext
    receipt: dict[str, Any] | None
    damaged: bool = False

    @property
    def recipe(self) -> Recipe:
        """What of it can be carried out again. Raises `InputError` if it names a sampler or value that we do not have."""
        return self.changed()

    @property
    def rule(self) -> str:
        """The rule that made it; "cfg" where it does not say."""
        return self._said("rule", "cfg")

    @property
    def syntax(self) -> str:
        """The syntax of its texts; "a1111" where it does not say."""
        return self._said("syntax", self.infotext.syntax)

    def changed(self, **changes: Any) -> Recipe:
        """As `recipe`, with changes in the place of fields that need not be usable themselves."""
        if self.receipt is None:
            return self.infotext.recipe(**changes)
        return Recipe.from_dict(self.receipt["recipe"] | changes)

    def _said(self, field: str, usual: str) -> str:
        return str(({} if self.receipt is None else self.receipt["recipe"]).get(field, usual))


def save(path: str | os.PathLike[str], image: Image.Image, receipt: Receipt, overwrite: bool = False) -> None:
    """Write a picture with its infotext and receipt; the file appears whole, under its name, or not at all.

    Raises `InputError` for an unknown file type, `OutputError` if the file exists or cannot be written.
    """
    path = Path(path)
    check_target("out", path, FORMATS, overwrite)
    kind = FORMATS[path.suffix.lower()]
    text, own = infotext.write(receipt), receipt.to_json()
    options: dict[str, Any]
    if kind == "PNG":
        notes = PngInfo()
        notes.add_itxt("parameters", text) if not text.isascii() else notes.add_text("parameters", text)
        notes.add_itxt(CHUNK, own)
        options = {"pnginfo": notes}
    else:
        exif = Image.Exif()
        exif[Base.ImageDescription] = json.dumps({CHUNK: json.loads(own)})
        exif.get_ifd(IFD.Exif)[Base.UserComment] = UNICODE + text.encode("utf-16-be")
        options = {"exif": exif, "quality": QUALITY}
    with output("out", path, overwrite) as file:
        try:
            image.save(file, kind, **options)
        except ValueError as error:  # Pillow, of a picture, or of what is said of it, that is too large for its format
            raise OSError(f"{error}; allowed: .png") from error


def read(path: str | os.PathLike[str]) -> Made:
    """What made a picture: from our own files, or from others': AUTOMATIC1111's infotext, or what `others` reads.

    Raises `InputError` if the file is no picture, or says nothing that is understood.
    """
    if not isinstance(path, str | os.PathLike):
        raise InputError(f"picture: {path!r:.80} was given; allowed: the path of a file")
    try:
        with Image.open(path) as image:
            image.load()
            own, text, there = _notes(image)
            other = others.read(image) if not text.strip() or text.lstrip().startswith("{") else None
    except (OSError, UnidentifiedImageError, ValueError, SyntaxError, struct.error, Image.DecompressionBombError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "it is no picture, or a damaged one"
        raise InputError(f"picture: {os.fspath(path)!r} could not be read: {reason}") from error
    if isinstance(own, dict) and isinstance(own.get("recipe"), dict):
        return Made(text, infotext.read(text), own)
    if other is not None:
        return Made(text, other, None, there)
    if not text.strip():
        raise InputError(
            f"picture: {os.fspath(path)!r} does not say what made it; allowed: a file with a 'parameters' text, or with what "
            "ComfyUI, InvokeAI, SwarmUI, Fooocus or NovelAI write"
        )
    if text.lstrip().startswith("{"):
        raise InputError(f"picture: the 'parameters' of {os.fspath(path)!r} are another program's JSON; allowed: infotext")
    return Made(text, infotext.read(text), None, there)


def files_in(what: str, folder: Path) -> list[Path]:
    """The picture files of a folder, by name. Raises `InputError`, whose sentence begins with `what`, if there are none."""
    try:
        found = sorted(path for path in folder.iterdir() if path.suffix.lower() in ENDINGS and path.is_file())
    except OSError as error:
        raise InputError(f"{what}: {str(folder)!r} could not be read: {error.strerror}; allowed: a folder") from error
    if not found:
        raise InputError(f"{what}: there is no picture in {str(folder)!r}; allowed: files that end in {', '.join(ENDINGS)}")
    return found


def _notes(image: Image.Image) -> tuple[object, str, bool]:
    """Our receipt, if there is one that can be read, the infotext, and whether there is a receipt at all."""
    exif = image.getexif()
    text = str(image.info.get("parameters", ""))
    comment = exif.get_ifd(IFD.Exif).get(Base.UserComment, b"")
    if isinstance(comment, bytes) and comment.startswith(UNICODE):
        text = _decoded(comment.removeprefix(UNICODE))
    description = exif.get(Base.ImageDescription)
    own = _json(image.info.get(CHUNK)) or (_json(description) or {}).get(CHUNK)
    return own, text, CHUNK in image.info or str(description).startswith(f'{{"{CHUNK}"')


def _decoded(raw: bytes) -> str:
    """UTF-16 of either byte order; texts are mostly Latin, so the order with fewer odd characters is right."""
    best = min(("utf-16-be", "utf-16-le"), key=lambda order: sum(ord(c) > 255 for c in raw.decode(order, "replace")))
    return raw.decode(best, "replace")


def _json(text: object) -> dict[str, Any] | None:
    if not isinstance(text, str):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
