"""The published layouts of embedding files, told apart by their keys once the file is plain values and tensors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor

from negativa.errors import InputError

PAIR: Final = ("clip_l", "clip_g")  # the two text encoders of Stable Diffusion XL, as its files name them
ENCODERS: Final = {1024: "clip_h", 1280: "clip_g"}  # by width, where a file has one encoder; clip_l else
KINDS: Final = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
LARGEST: Final = 2**24  # bytes of an encoder's vectors: hundreds of times those of the longest published embedding


@dataclass(frozen=True)
class Held:
    """What a file says: its layout, the name it gives the word ("" if none), and vectors (n, width) by encoder."""

    layout: str
    name: str
    vectors: Mapping[str, Tensor]
    notices: tuple[str, ...] = ()


def understand(data: object) -> Held:
    """Find the vectors in a file's values. Raises `InputError`, without the file's name, if there are none to be used."""
    if isinstance(data, list):
        return _listed(data)
    if not isinstance(data, Mapping) or not data:
        raise InputError("holds no vectors; allowed: a table of tensors by name")
    if "string_to_param" in data:
        return _automatic(data)
    tensors = {str(key): value for key, value in data.items() if isinstance(value, Tensor)}
    others = [key for key in tensors if key not in PAIR]
    if len(others) < len(tensors):
        notices = [f"{key[:80]!r} is of no text encoder that is read here, and left out" for key in others]
        return _held("sdxl", "", {key: tensors[key] for key in PAIR if key in tensors}, notices)
    if list(tensors) == ["emb_params"]:
        return _held("kohya", "", _by_width(tensors["emb_params"]))
    tokens = all(key.startswith("<") and key.endswith(">") for key in tensors)
    if not tensors or (len(tensors) > 1 and not tokens):
        raise InputError(f"holds {_some(tensors) if tensors else _some(data)}, which is no layout of an embedding")
    return _held("diffusers", next(iter(tensors)), _by_width(next(iter(tensors.values()))), _first_of(tensors))


def check(vectors: object, key: str) -> Tensor:
    """The vectors as (n, width), bit for bit. Raises `InputError` if they are not finite numbers in one or two dimensions."""
    if not isinstance(vectors, Tensor) or vectors.dtype not in KINDS:
        kind = str(vectors.dtype).removeprefix("torch.") if isinstance(vectors, Tensor) else type(vectors).__name__
        raise InputError(f"has {key!r} of type {kind}; allowed: a tensor of floating-point numbers")
    if vectors.ndim not in (1, 2) or not vectors.numel():
        shape = "x".join(map(str, vectors.shape)) or "one number"
        raise InputError(f"has {key!r} of shape {shape}; allowed: one or more vectors in one or two dimensions")
    if vectors.numel() * vectors.element_size() > LARGEST:
        raise InputError(f"has {key!r} of {vectors.numel()} numbers; allowed: at most {LARGEST >> 20} MB of them")
    if not vectors.isfinite().all():
        raise InputError(f"has values in {key!r} that are infinite or no numbers at all; allowed: finite numbers")
    return vectors.detach().reshape(-1, vectors.shape[-1]).clone(memory_format=torch.contiguous_format)


def _automatic(data: Mapping[Any, Any]) -> Held:
    """AUTOMATIC1111's: string_to_param, whose only term is nearly always "*"."""
    terms = data["string_to_param"]
    if not isinstance(terms, Mapping) or not terms:
        raise InputError("has no terms in 'string_to_param'; allowed: one table of tensors by term")
    name = data.get("name")
    return _held(
        "a1111", name if isinstance(name, str) else "", _by_width(next(iter(terms.values()))), _first_of(map(str, terms))
    )


def _listed(data: list[Any]) -> Held:
    """A list of tables of tensors, joined by width."""
    by_width: dict[int, list[Tensor]] = {}
    left = LARGEST
    for table in data:
        for key, value in table.items() if isinstance(table, Mapping) else ():
            vectors = check(value, str(key)[:80])
            by_width.setdefault(vectors.shape[1], []).append(vectors)
            left -= vectors.numel() * vectors.element_size()
            if left < 0:
                raise InputError(f"has a list of more than {LARGEST >> 20} MB of numbers, which is no embedding")
    joined = {width: torch.cat(parts) for width, parts in sorted(by_width.items())}
    if tuple(joined) == (768, 1280):
        return _held("list", "", dict(zip(PAIR, joined.values(), strict=True)))
    if len(joined) != 1:
        raise InputError(f"has vectors of {len(joined)} widths in a list; allowed: one, or 768 and 1280")
    return _held("list", "", _by_width(next(iter(joined.values()))))


def _by_width(vectors: object) -> dict[str, object]:
    width = vectors.shape[-1] if isinstance(vectors, Tensor) and vectors.ndim else 0
    return {ENCODERS.get(width, "clip_l"): vectors}


def _held(layout: str, name: str, vectors: Mapping[str, object], notices: Iterable[str] = ()) -> Held:
    checked = {key: check(value, key) for key, value in vectors.items()}
    counts = {key: len(value) for key, value in checked.items()}
    if len(set(counts.values())) > 1:
        raise InputError(f"has {' and '.join(f'{n} vectors for {key}' for key, n in counts.items())}; allowed: as many")
    return Held(layout, name, checked, tuple(notices))


def _first_of(terms: Iterable[str]) -> tuple[str, ...]:
    first, *rest = terms
    return (f"of its {len(rest) + 1} terms the first, {first[:80]!r}, is read",) if rest else ()


def _some(keys: Iterable[Any]) -> str:
    names = [repr(str(key)[:80]) for key in keys]
    return f"{len(names)} values ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"
