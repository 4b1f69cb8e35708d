"""Reads torch's .pt and .bin files: values described by a pickle, and the numbers of its tensors beside it."""

from __future__ import annotations

import io
import math
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from torch import Tensor

from negativa.denoisers.pickles import Described, Storage, interpret
from negativa.errors import InputError

MAGIC: Final = 0x1950A86A20F9469CFC6C  # opens what torch wrote before its files were zip archives


def load(raw: bytes, largest: int) -> Any:
    """The values of a file that torch.save wrote: tables, lists, text, numbers and tensors.

    Raises `InputError`, without the file's name, if it holds anything else, code above all, and other errors if it is damaged.
    """
    if zipfile.is_zipfile(io.BytesIO(raw)):
        return _archived(raw, largest)
    stream = io.BytesIO(raw)
    if interpret(stream) != MAGIC:
        raise InputError("is no file of torch")
    interpret(stream)  # the version of the protocol
    if interpret(stream).get("little_endian") is False:
        raise InputError("was written on a big-endian machine; allowed: little-endian numbers")
    kinds: dict[str, torch.dtype] = {}
    data, keys = interpret(stream, kinds), interpret(stream)
    stored = {}
    for key in keys:
        (count,) = struct.unpack("<q", stream.read(8))
        stored[key] = stream.read(min(max(count, 0) * kinds[key].itemsize, largest))
    return _Filling(stored.__getitem__).filled(data)


def _archived(raw: bytes, largest: int) -> Any:
    """The zip archive that torch has written since 1.6: data.pkl, and a member for each storage."""
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        (pickle,) = (name for name in archive.namelist() if name.rpartition("/")[2] == "data.pkl")
        folder = pickle.removesuffix("data.pkl")
        if sum(member.file_size for member in archive.infolist()) > largest:
            raise InputError(f"unpacks to more than the {largest >> 20} MB allowed")
        if f"{folder}byteorder" in archive.namelist() and archive.read(f"{folder}byteorder") != b"little":
            raise InputError("was written on a big-endian machine; allowed: little-endian numbers")
        data = interpret(io.BytesIO(archive.read(pickle)))
        return _Filling(lambda key: archive.read(f"{folder}data/{key}")).filled(data)


@dataclass
class _Filling:
    """Puts tensors in the place of their descriptions; what is referred to a thousand times is read and filled once."""

    stored: Callable[[str], bytes]
    numbers: dict[Storage, Tensor] = field(default_factory=dict)
    done: dict[tuple[int, int], Any] = field(default_factory=dict)

    def filled(self, value: Any, depth: int = 3) -> Any:
        """`value`, as deep as layouts go."""
        if isinstance(value, Described):
            return self.tensor(value)
        if not isinstance(value, (dict, list)) or not depth:
            return value
        place = (id(value), depth)
        if place not in self.done:
            if isinstance(value, dict):
                self.done[place] = {key: self.filled(one, depth - 1) for key, one in value.items()}
            else:
                self.done[place] = [self.filled(one, depth - 1) for one in value]
        return self.done[place]

    def tensor(self, described: Described) -> Tensor:
        """A view of the stored numbers."""
        offset, shape, stride = described.offset, described.shape, described.stride
        whole = all(type(number) is int and 0 <= number < 2**62 for number in (offset, *shape, *stride))
        if not whole or len(shape) != len(stride) or len(shape) > 4:
            raise InputError("describes a tensor that cannot be")
        if described.storage not in self.numbers:
            raw = bytearray(self.stored(described.storage.key))
            count = len(raw) // described.storage.kind.itemsize
            kind = described.storage.kind
            self.numbers[described.storage] = (
                torch.frombuffer(raw, dtype=kind, count=count) if count else torch.empty(0, dtype=kind)
            )
        numbers = self.numbers[described.storage]
        last = offset + sum((size - 1) * step for size, step in zip(shape, stride, strict=True))
        asked = math.prod(shape)
        if asked and (last >= len(numbers) or asked > len(numbers)):
            raise InputError(f"describes a tensor of {asked} numbers where {len(numbers)} are stored; it may be cut off")
        return numbers.as_strided(shape, stride, offset) if asked else numbers[:0]
