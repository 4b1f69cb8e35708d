"""Files of tensors that people bring: found, bounded and read, with a sentence about whatever is wrong with one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

from negativa.errors import InputError

PICKLES: Final = (".ckpt", ".pt", ".pth", ".bin", ".pkl")  # endings of files that can run code when they are read

Held = TypeVar("Held")


def load(
    what: str, path: Path, readers: Mapping[str, Callable[[bytes], Any]], understand: Callable[[Any], Held], largest: int
) -> tuple[bytes, Held]:
    """The bytes of a file of at most `largest` bytes, and what they say; `readers` are by the ending of its name.

    Raises `InputError`, naming `what` was asked for and the file, if there is none, or it is damaged, or what a reader or
    `understand` says of it.
    """
    try:
        if not path.is_file():
            raise InputError("is no file here")
        reader = readers.get(path.suffix.lower())
        if reader is None:
            raise InputError(f"was given; allowed: a file that ends in {', '.join(readers)}")
        if path.stat().st_size > largest:
            size = f"{largest >> 30} GB" if largest >= 2**30 else f"{largest >> 20} MB"
            raise InputError(f"is larger than {size}, which no {what} is")
        raw = path.read_bytes()
        return raw, understand(reader(raw))
    except InputError as error:
        raise InputError(f"{what}: {str(path)!r} {error}") from error
    except OSError as error:
        raise InputError(f"{what}: {str(path)!r} could not be read: {error.strerror or 'it is damaged'}") from error
    except Exception as error:  # whatever the readers of several kinds of file say of damaged ones
        raise InputError(f"{what}: {str(path)!r} is damaged, or no {path.suffix} file") from error
