"""The whole recipe of terrarium's weights: paint, train each part in turn, write an ordinary Stable Diffusion folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch

from negativa.errors import InputError, nearest
from negativa.training.progress import Progress
from negativa.training.runs import begin
from negativa.training.work import Work

#: Of the minutes given, by part, in the order of training.
SHARES: Final = {
    "vae": 0.14,
    "decoder": 0.04,
    "reader": 0.06,
    "words": 0.04,
    "clip": 0.1,
    "diffusion": 0.51,
    "base": 0.04,
    "plus": 0.05,
    "tokens": 0.02,
}
LATER: Final = tuple(SHARES)[
    tuple(SHARES).index("diffusion") :
]  # what an earlier terrarium can be trained on from: all that stands on its pictures and words
#: What the folder of an earlier terrarium must hold for that.
TAKEN: Final = (
    *(f"{part}/config.json" for part in ("vae", "unet", "clip", "reader")),
    *(f"ip_adapter/{kind}.safetensors" for kind in ("base", "plus")),
)
#: What it must hold to begin as it: its autoencoder, its U-Net, and the words that this one reads.
BEGUN_AS: Final = (*(f"{part}/config.json" for part in ("vae", "unet", "text_encoder")), "tokenizer/vocab.json")


@dataclass(frozen=True)
class Settings:
    """How much is trained: `pictures` painted, steps for each part unless `minutes` says how long all may take.

    `until` is the last part that is trained, one of `SHARES`; all are, and the folder is written, if it is None. `start` is the
    folder of an earlier terrarium, whose autoencoder and U-Net the new ones begin as. With `first`, one of `LATER`, all parts
    before that one are the earlier's, the U-Net goes on from it at a lower rate, and so do the adapters.
    """

    folder: Path
    seed: int = 0
    minutes: float | None = None
    pictures: int = 30_000
    vae_steps: int = 6_000
    decoder_steps: int = 1_500
    reader_steps: int = 6_600
    words_steps: int = 900
    clip_steps: int = 1_400
    diffusion_steps: int = 9_000
    adapter_steps: int = 1_000
    token_steps: int = 150
    device: str = "cpu"
    until: str | None = None
    start: Path | None = None
    first: str | None = None


def run(settings: Settings) -> Iterator[Progress]:
    """Train every part and write `<folder>/terrarium`; taken up where an earlier run in the same folder stopped.

    Raises `InputError` for a part that is unknown or has not what comes before it, and if that run had another seed, number
    of pictures, start or first part, `OutputError` if the folder cannot be written.
    """
    trained = _trained(settings)
    start = None if settings.start is None else str(settings.start)
    about = {"seed": settings.seed, "pictures": settings.pictures, "start": start, "first": settings.first}
    begin(settings.folder, about)
    torch.manual_seed(settings.seed)  # the first weights of every part
    whole = sum(SHARES[name] for name in trained)
    minutes = {name: settings.minutes and settings.minutes * SHARES[name] / whole for name in trained}
    work = Work(settings, minutes)
    yield from work.painted()
    for name in SHARES:
        yield from work.train(name) if name in trained else work.take(name)
        if name == settings.until:
            return
    work.write()


def _trained(settings: Settings) -> list[str]:
    """The parts to train if nothing stops them, in order. Raises `InputError` as `run` says."""
    for name, allowed in (("until", SHARES), ("first", LATER)):
        if (part := getattr(settings, name)) not in (None, *allowed):
            raise InputError(f"{name}: {part!r} was given; {nearest(part, allowed)}")
    parts = list(SHARES)
    if settings.first is None:
        if settings.start is not None:
            _check_start(settings.start, BEGUN_AS, "")
        return parts
    if settings.start is None:
        raise InputError(f"first: {settings.first!r} was given without start, whose parts come before it; allowed: both")
    _check_start(settings.start, TAKEN, " with first")
    trained = parts[parts.index(settings.first) :]
    if settings.until not in (None, *trained):
        said = f"until: {settings.until!r} was given, which comes before {settings.first!r}"
        raise InputError(f"{said}; allowed: {', '.join(trained)}")
    return trained


def _check_start(start: Path, needed: Iterable[str], how: str) -> None:
    """Raise `InputError` if the folder of an earlier terrarium lacks what is needed."""
    if missing := [file for file in needed if not (start / file).is_file()]:
        said = f"start: {str(start)!r} was given{how}, and lacks {missing[0]!r}"
        raise InputError(f"{said}; allowed: the folder of a whole terrarium")
