"""The folder of a study: whether one was begun there, what stands in its place, and that one process has it at a time."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from negativa.errors import InputError

try:
    import fcntl
except ImportError:  # Windows: there, nothing keeps two runs of one study apart
    fcntl = None

DATABASE: Final = "study.db"
PICTURES: Final = "pictures"
PAGE: Final = "report.html"
SCORES, VERDICTS = "scores", "verdicts"  # tables, each as CSV and perhaps as Parquet
REPORTS: Final = (PAGE, *(f"{table}.{ending}" for table in (SCORES, VERDICTS) for ending in ("csv", "parquet")))


def has_study(folder: str | os.PathLike[str]) -> bool:
    """Whether a study was begun in a folder."""
    with suppress(OSError):
        return (Path(folder) / DATABASE).stat().st_size > 0
    return False


def check_place(folder: Path) -> None:
    """Raise `InputError` if no study was begun in a folder, but there is a file that one would replace."""
    if has_study(folder):
        return
    with suppress(OSError):
        held = [path for path in folder.iterdir() if path.name in REPORTS] + [*(folder / PICTURES).glob("*")]
        if held:
            raise InputError(
                f"out: {str(folder)!r} has no study in it, but {str(held[0].relative_to(folder))!r}, which one would replace;"
                f" allowed: a new folder, or a whole copy of {DATABASE} in its place"
            )


def lock(folder: Path) -> int | None:
    """A handle on a study's pictures that no other process can have while this one lives. Raises `InputError` if one has it."""
    if fcntl is None:
        return None
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise InputError(f"out: the study in {str(folder.parent)!r} is being run by another process") from error
    return handle
