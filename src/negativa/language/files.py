"""Files and folders that are there whole or not at all, and where they may be written."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from negativa.errors import InputError, OutputError


def check_target(what: str, path: Path, endings: Collection[str], overwrite: bool = False) -> None:
    """Raise `InputError` or `OutputError` if a file cannot be written there: worth knowing before the work.

    Its name must end in one of the `endings`, as in ".png"; without any it is a folder that is to be written. `what` begins the
    sentence.
    """
    if endings and path.suffix.lower() not in endings:
        bare = path.name.lower() in endings  # the name of a hidden file, without an ending
        allowed = f"a name before {path.name}" if bare else f"a file that ends in {', '.join(endings)}"
        raise InputError(f"{what}: {str(path)!r} was given; allowed: {allowed}")
    try:
        there, folder, parent = path.exists(), path.is_dir(), path.parent.is_dir()
    except OSError as error:
        raise OutputError(f"{what}: {str(path)!r} cannot be written: {error.strerror}") from error
    if not parent:
        raise OutputError(f"{what}: there is no folder {str(path.parent)!r}")
    if there and folder == bool(endings):
        kind = "folder; allowed: a file in it" if folder else "file; allowed: a folder"
        raise OutputError(f"{what}: {str(path)!r} is a {kind}")
    if there and not overwrite:
        raise OutputError(f"{what}: {str(path)!r} is there already; allowed: a new name, or --overwrite")
    if not os.access(path.parent, os.W_OK):
        raise OutputError(f"{what}: the folder {str(path.parent)!r} cannot be written to")


def make_folder(what: str, folder: Path) -> None:
    """Make a folder, with those above it, if it is not there. Raises `OutputError`, whose sentence begins with `what`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{what}: {str(folder)!r} cannot be written: {error.strerror}") from error


@contextmanager
def output(what: str, path: Path, overwrite: bool = True) -> Iterator[BinaryIO]:
    """As `whole`, but says in a sentence that begins with `what` why a file could not be written. Raises `OutputError`."""
    try:
        with whole(path, overwrite) as file:
            yield file
    except FileExistsError as error:
        raise OutputError(f"{what}: {str(path)!r} is there already; allowed: a new name, or --overwrite") from error
    except OSError as error:
        raise OutputError(f"{what}: {str(path)!r} could not be written: {error.strerror or error}") from error


def write(what: str, path: Path, content: bytes) -> None:
    """Write a file over one that is there, as `output` does. Raises `OutputError`."""
    with output(what, path) as file:
        file.write(content)


@contextmanager
def whole(path: Path, overwrite: bool = True) -> Iterator[BinaryIO]:
    """A file to write that appears under its name when it is on the disk, or never.

    Raises `FileExistsError` if there is one and it is not to be overwritten, `OSError` if it cannot be written.
    """
    part = path.with_name(f".negativa-{uuid.uuid4().hex[:12]}")
    try:
        with part.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path) if overwrite else _move_to_new(part, path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def output_folder(what: str, path: Path) -> Iterator[Path]:
    """A folder to write into that appears under the name `path`, in the place of one that is there, or never.

    Raises `OutputError`, whose sentence begins with `what`, if it cannot be written.
    """
    part = path.with_name(f".negativa-{uuid.uuid4().hex[:12]}")
    new, old = part / "new", part / "old"
    try:
        new.mkdir(parents=True)
        yield new
        if path.exists():
            path.rename(old)
        new.rename(path)
    except OSError as error:
        raise OutputError(f"{what}: {str(path)!r} could not be written: {error.strerror or error}") from error
    finally:
        if old.exists() and not path.exists():
            old.rename(path)
        shutil.rmtree(part, ignore_errors=True)


def _move_to_new(part: Path, path: Path) -> None:
    """Give `part` the name `path`, which no file may have, not even one that another process made just now."""
    try:
        os.link(part, path)
    except FileExistsError:
        raise
    except OSError as error:  # a file system without links
        if path.exists():
            raise FileExistsError(path) from error
        part.replace(path)
