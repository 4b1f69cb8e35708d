"""Faces in the place of pictures: the numbers that a recogniser (InsightFace) says of a face, in a .npy file of numpy's."""

from __future__ import annotations

import base64
import hashlib
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from negativa.errors import InputError

if TYPE_CHECKING:
    import numpy as np

ENDING: Final = ".npy"
HELD: Final = "data:application/x-npy;base64,"  # begins the source of numbers that were in memory
LARGEST: Final = 2**20  # bytes of a file; a face is some hundred numbers


def is_face(source: str) -> bool:
    """Whether a source is a face's numbers and no picture."""
    return source.startswith(HELD) or source.lower().endswith(ENDING)


def held(given: Any) -> str:
    """An array as text. Raises `InputError` if it is no face."""
    import numpy as np

    file = io.BytesIO()
    np.save(file, _sound(given, "face in memory"), allow_pickle=False)
    return HELD + base64.b64encode(file.getvalue()).decode()


def read(source: str) -> np.ndarray:
    """The numbers, (width,), float32. Nothing in a file is executed. Raises `InputError` if it is damaged or no face."""
    import numpy as np

    name = "face in memory" if source.startswith(HELD) else source
    try:
        raw = base64.b64decode(source.removeprefix(HELD)) if source.startswith(HELD) else _bytes(Path(source))
        found = np.load(io.BytesIO(raw), allow_pickle=False)
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"image: {name!r} could not be read: {error.strerror or 'a damaged file'}") from error
    except Exception as error:  # whatever numpy says of a file that is none of its own
        raise InputError(f"image: {name!r} could not be read: a damaged file, or no numbers in it") from error
    return _sound(found, name)


def digest(numbers: np.ndarray) -> str:
    """Sixteen hexadecimal digits of a face's numbers."""
    return hashlib.sha256(f"{len(numbers)} numbers ".encode() + numbers.astype("<f4").tobytes()).hexdigest()[:16]


def _bytes(path: Path) -> bytes:
    if path.exists() and (not path.is_file() or path.stat().st_size > LARGEST):
        raise InputError(f"image: {str(path)!r} is no face; allowed: a .npy file of at most {LARGEST >> 20} MiB")
    return path.read_bytes()


def _sound(given: Any, name: str) -> np.ndarray:
    import numpy as np

    found = given if isinstance(given, np.ndarray) else np.empty(0)
    if found.dtype.kind != "f" or not 0 < found.size == max(found.shape, default=0) or not np.isfinite(found).all():
        raise InputError(f"image: {name!r} holds no face; allowed: one row of finite numbers, as InsightFace says them")
    return found.reshape(-1).astype(np.float32)
