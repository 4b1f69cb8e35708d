"""Models of transformers that look at pictures, of weights that the user names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from negativa.errors import InputError
from negativa.plain.quiet import quiet


def read_weights(field: str, weights: str, kind: str, read: Callable[[str], Any]) -> Any:
    """What `read` makes of `weights`. Raises `InputError`, one sentence, if it cannot: `kind` says what `field` wants."""
    try:
        with quiet():
            return read(weights)
    except Exception as error:  # a damaged or absent model comes out of transformers and its readers in many ways
        why = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(
            f"{field}: {weights!r} cannot be read ({why}); allowed: a folder or a Hugging Face id of {kind}"
        ) from error


def read_clip(field: str, weights: str, kind: str = "a CLIP model") -> tuple[Any, Any]:
    """A CLIP model, on the CPU in float32, and its processor. Raises `InputError` as `read_weights` does."""
    return read_weights(field, weights, kind, _clip)


def _clip(weights: str) -> tuple[Any, Any]:
    from transformers import AutoConfig, CLIPModel, CLIPProcessor

    family = AutoConfig.from_pretrained(weights).model_type
    if family != "clip":
        raise ValueError(f"it is of the family {family!r}")
    return CLIPModel.from_pretrained(weights).float().eval(), CLIPProcessor.from_pretrained(weights)
