"""Adapter files: .safetensors, and torch's .bin without running what is in it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import safetensors.torch
from torch import Tensor

from negativa.denoisers import archives
from negativa.denoisers.files import load
from negativa.errors import InputError

Kind = Literal["base", "plus", "full", "face", "timed"]
LARGEST: Final = 2**32  # bytes; those of Stable Diffusion XL have a quarter
READERS: Final[dict[str, Callable[[bytes], Any]]] = {
    ".safetensors": safetensors.torch.load,
    ".bin": lambda raw: archives.load(raw, LARGEST),
}
ALLOWED: Final = "base, Plus, full-face, FaceID, InstantX's for Stable Diffusion 3, XLabs' for Flux"
#: By the width of the text that its model reads.
FAMILIES: Final = {768: "Stable Diffusion 1", 1024: "Stable Diffusion 2", 2048: "Stable Diffusion XL", 4096: "Flux.1"}
#: What the two tables of a file are called, and in XLabs' files.
TABLES: Final = {"image_proj": ("image_proj", "ip_adapter_proj_model"), "ip_adapter": ("ip_adapter", "double_blocks")}
RENAMED: Final = {f".processor.ip_adapter_double_stream_{part}_proj.": f".to_{part}_ip." for part in "kv"}


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What an adapter's file says.

    `projection` makes tokens of what the image encoder says, `layers` are the keys and values by number of the layer. `kind`
    says what is read: the embedding of a picture ("base"), all that is seen in it ("plus", "full"; Plus-Face among both; by
    SigLIP, at the time of each step, "timed": those of Stable Diffusion 3), or a face's embedding by another network ("face":
    FaceID). `hash` has the first ten hexadecimal digits of the file's SHA-256.
    """

    kind: Kind
    projection: Mapping[str, Tensor]
    layers: Mapping[str, Tensor]
    hash: str
    path: Path

    @property
    def width(self) -> int:
        """The width of what is read."""
        first = {"base": "proj", "plus": "proj_in", "timed": "proj_in", "full": "proj.0", "face": "proj.0"}[self.kind]
        return self.projection[f"{first}.weight"].shape[1]

    @property
    def family(self) -> str:
        """The model family that it was made for."""
        if self.kind == "timed":
            return "Stable Diffusion 3"
        widths = {value.shape[-1] for key, value in self.layers.items() if key.endswith("to_k_ip.weight") and value.ndim}
        width = widths.pop() if len(widths) == 1 else 0
        return FAMILIES.get(width, f"a model whose texts have the width {width}" if width else "another kind of model")


def read(path: str | os.PathLike[str]) -> Checkpoint:
    """Read an adapter; nothing in its file is executed.

    Raises `InputError` if there is no such file, it is damaged, or it is no adapter for pictures.
    """
    path = Path(path)
    raw, (kind, projection, layers) = load("adapter", path, READERS, _understood, LARGEST)
    return Checkpoint(kind, projection, layers, hashlib.sha256(raw).hexdigest()[:10], path)


def _understood(data: Any) -> tuple[Kind, dict[str, Tensor], dict[str, Tensor]]:
    projection, layers = (_part(data, name) for name in ("image_proj", "ip_adapter"))
    return _kind(projection), projection, layers


def _part(data: Any, name: str) -> dict[str, Tensor]:
    """One of the two tables of a file, which .safetensors writes into its keys."""
    if isinstance(data, Mapping) and isinstance(data.get(name), Mapping):
        found = {str(key): value for key, value in data[name].items() if isinstance(value, Tensor)}
    else:
        split = [(*str(key).partition("."), value) for key, value in data.items()] if isinstance(data, Mapping) else []
        found = {_renamed(key): value for table, _, key, value in split if table in TABLES[name]}
    if not found:
        raise InputError(f"is no adapter: it has no {name!r}; allowed: an IP-Adapter")
    if not all(value.is_floating_point() and value.isfinite().all() for value in found.values()):
        raise InputError(f"has values in {name!r} that are no finite numbers")
    return found


def _renamed(key: str) -> str:
    for theirs, ours in RENAMED.items():
        key = key.replace(theirs, ours)
    return key


def _kind(projection: Mapping[str, Tensor]) -> Kind:
    """Told by the keys, in the order in which diffusers tells them."""
    if "proj.weight" in projection:
        return "base"
    if "proj.3.weight" in projection and "proj.0.weight" in projection:
        return "full"
    if "perceiver_resampler.proj_in.weight" in projection:
        raise InputError(f"is a FaceID Plus adapter, which reads a face twice; allowed: {ALLOWED}")
    if {"norm.weight", "proj.0.weight", "proj.2.weight"} <= projection.keys():
        return "face"
    if {"latents", "proj_in.weight", "time_embedding.linear_1.weight"} <= projection.keys():
        return "timed"
    if {"latents", "proj_in.weight", "proj_out.weight"} <= projection.keys():
        return "plus"
    raise InputError(f"has an unknown 'image_proj' of {len(projection)} values; allowed: {ALLOWED}")
