"""A studio for a model: opens it where it is, on the device that there is."""

from __future__ import annotations

from os import PathLike, fspath
from typing import TYPE_CHECKING, TypedDict

from negativa.errors import InputError
from negativa.plain.quiet import quiet
from negativa.studio.studio import Studio

if TYPE_CHECKING:
    import torch

    from negativa.denoisers.adapters import Given
    from negativa.denoisers.denoiser import Denoiser
    from negativa.exact import Mixture


class Loading(TypedDict, total=False):
    """Arguments of `load` beside the model."""

    device: str | None
    dtype: str | None
    reproducible: bool
    config: str | None
    embeddings: str | PathLike[str] | None
    adapters: Given
    image_encoder: str | PathLike[str] | None


def load(
    model: str | PathLike[str] | Mixture = "terrarium",
    *,
    device: str | None = None,
    dtype: str | None = None,
    reproducible: bool = False,
    config: str | None = None,
    embeddings: str | PathLike[str] | None = None,
    adapters: Given = (),
    image_encoder: str | PathLike[str] | None = None,
) -> Studio:
    """Load a model and make a studio for it.

    `model`: "terrarium", "exact", a diffusers folder, a single .safetensors file (`config` names the diffusers folder that
    describes it), a Hugging Face id, or a mixture, whose labels are the words of its prompts and negatives. `device`:
    "cpu", "cuda", "mps" ..., the best there is if None. `dtype`: "float32", "float16" or "bfloat16"; float16 on CUDA, else
    float32, if None; "exact" and other mixtures compute on the CPU in float64 all the same. `reproducible` makes pictures
    equal bit for bit on one kind of device whatever they are generated with, at the speed of one row a call; on a CPU it
    sets torch to one thread in this process, since several share sums in an order of their own.
    `embeddings` is a folder or file of embeddings, whose names are words of prompts and negatives then. `adapters` read the
    images of recipes: IP-Adapter files by name, or a list of files, each known by its name without the ending and the first of
    a kind also as "base", "plus", "full" or "face"; `image_encoder` is the folder of the CLIP, or SigLIP, that they look
    through, where it is not beside them.
    Raises `ModelError` if the model cannot be read, `InputError` for a device, dtype or folder that is not there.
    """
    import torch

    from negativa.denoisers.checkpoints import open_model
    from negativa.denoisers.embeddings import Shelf
    from negativa.exact import Mixture

    model = fspath(model) if isinstance(model, PathLike) else model
    if not isinstance(model, str | Mixture):
        raise InputError(f"model: {model!r:.80} was given; allowed: a name, a folder, a file, a hub id, or a Mixture")
    place = device_of(device)
    dtypes = {name: getattr(torch, name) for name in ("float32", "float16", "bfloat16")}
    if dtype is not None and dtype not in dtypes:
        raise InputError(f"dtype: {dtype!r} was given; allowed: {', '.join(dtypes)}")
    kind = dtypes[dtype] if dtype else torch.float16 if place.type == "cuda" else torch.float32
    if reproducible and place.type == "cpu":
        torch.set_num_threads(1)

    shelf = None if embeddings is None else Shelf(embeddings, apart=True)

    def opening(name: str | Mixture) -> Denoiser:
        with quiet():
            return open_model(name, place, kind, config, shelf, adapters, image_encoder)

    return Studio(opening(model), reproducible, opening=opening)


def device_of(name: str | None) -> torch.device:
    """The device of that name, or the best there is. Raises `InputError` if this machine does not have it."""
    import torch

    best = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        place = torch.device(name or best)
        torch.zeros(1, device=place).item()
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device: {name!r} was given; allowed here: {', '.join(dict.fromkeys((best, 'cpu')))}") from error
    return place
