"""One training loop for every part: a generator that can be stopped at any step and taken up again."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from negativa.errors import InputError
from negativa.language.files import make_folder, output
from negativa.training.progress import Progress

SAVE_SECONDS = 120.0
WARM_UP = 100  # steps of rising learning rate


def train(
    part: str,
    module: nn.Module,
    loss: Callable[[nn.Module, np.random.Generator, float], Tensor],
    folder: Path,
    *,
    steps: int,
    learning_rate: float,
    seed: int,
    minutes: float | None = None,
    accumulate: int = 1,
    accelerator: Accelerator | None = None,
    enough: Callable[[], bool] = lambda: False,
) -> Generator[Progress, None, None]:
    """Train `module` in place with AdamW.

    `loss(module, rng, share)` is called with the step's own generator (so a resumed run draws what an unbroken one would
    have drawn) and the share of the training that is done, `accumulate` times a step; the step follows the mean. The
    learning rate rises for `WARM_UP` steps and falls to zero along a cosine, which makes averaging the weights
    unnecessary. `minutes` replaces `steps` by what this machine can do in that time, measured on the first steps; what is
    taken up again has as long again. The checkpoint `<folder>/<part>.pt` is written every two minutes, when the training is
    stopped, and at the end; it can be taken up with the same `steps` or `minutes` only.
    `accelerator` brings mixed precision and other processes, each with a generator of its own; all take the same steps.
    `enough`, asked before every step, ends the training.
    Raises `InputError` when the loss or its gradient is no number any more, and if the part was begun with other steps or
    minutes, `OutputError` if the checkpoint cannot be written; what was reached before is kept.
    """
    checkpoint = folder / f"{part}.pt"
    optimiser = torch.optim.AdamW(module.parameters(), lr=learning_rate, betas=(0.9, 0.99), weight_decay=1e-3, fused=True)
    mixed, index = nullcontext, 0
    if accelerator is not None:
        optimiser = accelerator.prepare_optimizer(optimiser, device_placement=False)
        mixed, index = accelerator.autocast, accelerator.process_index
    done = 0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True, map_location="cpu")
        _check_length(part, folder, state, steps, minutes)
        module.load_state_dict(state["module"])
        optimiser.load_state_dict(state["optimiser"])
        done, steps = state["step"], state["steps"]

    def save() -> None:
        if index:
            return
        state = {"module": module.state_dict(), "optimiser": optimiser.state_dict()}
        make_folder("folder", folder)
        with output("folder", checkpoint) as file:
            try:
                torch.save(state | {"step": done, "steps": steps, "minutes": minutes}, file)
            except RuntimeError as error:  # torch's own writer, on a full disk
                raise OSError("the disk does not take it") from error

    def learn() -> float:
        """The gradient of one step, cut to length 1; returns its loss."""
        rng, total = np.random.default_rng([seed, done, index] if index else [seed, done]), 0.0
        optimiser.zero_grad(set_to_none=True)
        for _ in range(accumulate):
            with mixed():
                value = loss(module, rng, done / steps) / accumulate
            value.backward() if accelerator is None else accelerator.backward(value)
            total += float(value.detach())
        if accelerator is None:
            length = nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        else:
            for weight in module.parameters():
                weight.grad = accelerator.reduce(weight.grad, "mean")
            length = accelerator.clip_grad_norm_(module.parameters(), 1.0)
        scaled = accelerator is not None and accelerator.scaler is not None  # which leaves out a step without a number itself
        if not (math.isfinite(total) and (scaled or math.isfinite(float(length)))):
            raise InputError(f"learning_rate: at step {done + 1} the loss is no number any more; allowed: a smaller one")
        return total

    started = saved = timed = time.monotonic()
    first, kept, settled = done, done, True
    module.train()
    try:
        while done < steps and not enough():
            if minutes is not None and done - first == 12:  # the first steps are slow and not counted
                pace = (time.monotonic() - timed) / 8
                steps = done + max(1, int((minutes * 60 - (time.monotonic() - started)) / pace))
            if done - first == 4:
                timed = time.monotonic()
            rise = min(1.0, (done + 1) / WARM_UP)
            for group in optimiser.param_groups:
                group["lr"] = learning_rate * rise * 0.5 * (1 + math.cos(math.pi * done / steps))
            value = learn()
            settled = False
            optimiser.step()
            done += 1
            settled = True
            if time.monotonic() - saved > SAVE_SECONDS:
                save()
                saved, kept = time.monotonic(), done
            yield Progress(part, done, steps, value)
    finally:  # also when the caller stops listening, or the person presses Ctrl-C, but not with half a step taken
        if settled and done > kept:
            save()
    module.eval()


def _check_length(part: str, folder: Path, state: Mapping[str, Any], steps: int, minutes: float | None) -> None:
    """Raise `InputError` unless a checkpoint is of a training as long as this; those of older versions do not say."""

    def length(steps: int, minutes: float | None) -> str:
        return f"steps {steps}" if minutes is None else f"minutes {minutes:g}"

    now, begun = length(steps, minutes), length(state["steps"], state.get("minutes"))
    if "minutes" in state and begun != now:
        raise InputError(
            f"folder: the part {part!r} in {str(folder)!r} was begun with {begun}, now {now} was given; "
            "allowed: the same, or another folder"
        )
