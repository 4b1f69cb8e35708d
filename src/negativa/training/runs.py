"""What every training run has: numbers, a model, steps, a file to end in, a folder that a later run goes on from."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Generator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from accelerate import Accelerator
from torch import Tensor, nn

from negativa.denoisers.unet import UNetDiffusion
from negativa.errors import InputError
from negativa.language.files import check_target, make_folder, write
from negativa.plain.knobs import KNOBS, number
from negativa.plain.knobs import whole as whole_number
from negativa.sampling.steps import is_flow
from negativa.studio import Studio, load
from negativa.training.log import logged
from negativa.training.loop import train
from negativa.training.progress import Progress

BEGUN: Final = "begun.json"
LOSSES: Final = "losses.csv"


def check_numbers(settings: Any, ranges: Mapping[str, tuple[int, int]]) -> None:
    """Raise `InputError` for settings out of range: those whole numbers, the seed, and the learning rate if there is one."""
    for name, (least, most) in ranges.items():
        whole_number(name, getattr(settings, name), least, most)
    KNOBS["seed"].check("seed", settings.seed)
    rate = settings.learning_rate
    if rate is not None and not 0 < number("learning_rate", rate) <= 1:
        raise InputError(f"learning_rate: {rate!r} was given; allowed: above 0, up to 1")


def load_learner(model: str, device: str | None, dtype: str | None, flows: bool = False) -> tuple[Studio, UNetDiffusion]:
    """A studio, and the model in it, which may predict a flow if `flows`.

    Raises `InputError` for one that cannot learn, otherwise as `negativa.load` does.
    """
    studio = load(model, device=device, dtype=dtype)
    if not isinstance(studio.denoiser, UNetDiffusion):
        raise InputError(f"model: {model!r} has nothing that could learn; allowed: Stable Diffusion 1.x, 2.x or XL")
    if is_flow(studio.denoiser.scheduler) and not flows:
        raise InputError(f"model: {model!r} predicts a flow; allowed: one that predicts noise, or velocity on a path of noise")
    return studio, studio.denoiser


def beside(out: Path, ending: str, folder: bool = False) -> Path:
    """What stands beside a result and is called after it: after its whole name if that is a `folder`, which has no ending.

    Raises `InputError` for a result without a name.
    """
    _check_named(out)
    return out.with_name(f"{out.name if folder else out.stem}{ending}")


def check_out(out: Path, folder: Path, overwrite: bool, endings: Collection[str] = (".safetensors",)) -> None:
    """As `check_target`; what is there may also be replaced where the run in `folder` wrote it."""
    _check_named(out)
    begun = os.path.isfile(folder / BEGUN)  # noqa: PTH113  (is_file raises for a name that is too long)
    check_target("out", out, endings, overwrite or begun)


def learn(
    part: str,
    module: nn.Module,
    loss: Callable[[nn.Module, np.random.Generator, float], Tensor],
    settings: Any,
    accelerator: Accelerator | None = None,
    **more: Any,
) -> Generator[Progress, None, None]:
    """Train as the `settings` of a run say, and `more`, see `train`; the losses go into its folder, see `logged`.

    Of several processes the first alone writes them.
    """
    given = {"steps": settings.steps, "learning_rate": settings.learning_rate, "seed": settings.seed} | more
    learning = train(part, module, loss, settings.place, accelerator=accelerator, **given)
    silent = accelerator is not None and not accelerator.is_main_process
    return learning if silent else logged(learning, settings.place / LOSSES)


def begin(folder: Path, about: Mapping[str, Any]) -> None:
    """Make the folder of a run, or go on in it.

    `about` is what decides the result, as plain values: a run that goes on must have the same. Raises `InputError` if it has
    not, `OutputError` if the folder cannot be written to.
    """
    begun = folder / BEGUN
    make_folder("folder", folder)
    if not begun.exists():
        write("folder", begun, json.dumps(about, indent=1, ensure_ascii=False).encode())
    check_begun(folder, about)


def check_begun(folder: Path, about: Mapping[str, Any]) -> None:
    """Raise `InputError` if a run that has not these values was begun in the folder."""
    begun = folder / BEGUN
    if not os.path.exists(begun):  # noqa: PTH110  (as above)
        return
    try:
        before = json.loads(begun.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"folder: {str(begun)!r} is damaged or cannot be read; allowed: another folder") from error
    for name, value in about.items():
        if before.get(name) != value:
            raise InputError(
                f"folder: {str(folder)!r} was begun with {name} {before.get(name)!r}, now {value!r} was given; "
                "allowed: the same, or another folder"
            )


def _check_named(out: Path) -> None:
    if not out.name:
        raise InputError(f"out: {str(out)!r} was given; allowed: a path that ends in a name")
