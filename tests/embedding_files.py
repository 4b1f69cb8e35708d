"""Writes embedding files as the programs that publish them do."""

from __future__ import annotations

import base64
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from safetensors.torch import save_file
from torch import Tensor, nn


def automatic(path: Path, vectors: Tensor, **more: Any) -> Path:
    """AUTOMATIC1111's .pt, as its training tab leaves it: the vectors still want a gradient."""
    torch.save(_automatic(vectors.clone().requires_grad_(), path.stem) | more, path)
    return path


def original(path: Path, vectors: Tensor, zipped: bool = True) -> Path:
    """What the first textual inversion program wrote: a module, and a tensor for the token's number."""
    table = nn.ParameterDict({"*": nn.Parameter(vectors)})
    values = {"string_to_token": {"*": torch.tensor(265)}, "string_to_param": table}
    torch.save(values, path, _use_new_zipfile_serialization=zipped)
    return path


def kohya(path: Path, vectors: Tensor) -> Path:
    save_file({"emb_params": vectors}, path)
    return path


def sdxl(path: Path, first: Tensor, second: Tensor) -> Path:
    save_file({"clip_l": first, "clip_g": second}, path)
    return path


def diffusers(path: Path, vectors: Tensor, token: str = "<wrong>") -> Path:
    """One tensor under its token, as .safetensors or .bin."""
    if path.suffix == ".safetensors":
        save_file({token: vectors}, path, {"format": "pt"})
    else:
        torch.save({token: vectors}, path)
    return path


def text_picture(path: Path, vectors: Tensor, name: str = "shown") -> Path:
    """A PNG whose text chunk says it."""
    notes = PngInfo()
    notes.add_text("sd-ti-embedding", base64.b64encode(_json(vectors, name)).decode())
    Image.new("RGB", (24, 16), "teal").save(path, pnginfo=notes)
    return path


def pixel_picture(path: Path, vectors: Tensor, name: str = "shown") -> Path:
    """A PNG whose pixels hold it: low halves of the bytes on the left, high halves on the right, black columns between."""
    return hide(path, zlib.compress(_json(vectors, name), 9))


def hide(path: Path, packed: bytes, height: int = 16) -> Path:
    """Any bytes in the pixels of a picture."""
    data = np.frombuffer(packed, np.uint8)
    data = np.resize(data, -(-data.size // (height * 3)) * height * 3)
    blocks = []
    for half in (data & 15, data >> 4):
        mask, state = [], 0
        for _ in range(half.size):
            state = (state * 1664525 + 1013904223) % 2**32
            mask.append(state % 255 & 15)
        blocks.append(((half ^ np.array(mask, np.uint8)) | 0x30).reshape(height, -1, 3))  # 0x30: the pattern over it
    black, picture = np.zeros((height, 1, 3), np.uint8), np.full((height, 24, 3), 77, np.uint8)
    Image.fromarray(np.concatenate([blocks[0], black, picture, black, blocks[1]], 1)).save(path)
    return path


def _automatic(vectors: object, name: str) -> dict[str, Any]:
    return {
        "string_to_token": {"*": 265},
        "string_to_param": {"*": vectors},
        "name": name,
        "step": 500,
        "sd_checkpoint": None,
        "sd_checkpoint_name": None,
    }


def _json(vectors: Tensor, name: str) -> bytes:
    return json.dumps(_automatic({"TORCHTENSOR": vectors.tolist()}, name)).encode()
