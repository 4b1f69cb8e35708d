"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


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
