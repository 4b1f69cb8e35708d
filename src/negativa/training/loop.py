"""One training loop for every part: a generator that can be stopped at any step and taken up again."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

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
    minutes: float | None,
    learning_rate: float,
    seed: int,
) -> Iterator[Progress]:
    """Train `module` in place with AdamW.

    `loss(module, rng, share)` is called once a step with that step's own generator (so a resumed run draws what an
    unbroken one would have drawn) and the share of the training that is done. The learning rate rises for `WARM_UP`
    steps and falls to zero along a cosine, which makes averaging the weights unnecessary. `minutes` replaces `steps` by
    what this machine can do in that time, measured on the first steps. The checkpoint `<folder>/<part>.pt` is written
    every two minutes, when the training is stopped, and at the end.
    """
    checkpoint = folder / f"{part}.pt"
    optimiser = torch.optim.AdamW(module.parameters(), lr=learning_rate, betas=(0.9, 0.99), weight_decay=1e-3)
    done = 0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True, map_location="cpu")
        module.load_state_dict(state["module"])
        optimiser.load_state_dict(state["optimiser"])
        done, steps = state["step"], state["steps"]

    def save() -> None:
        folder.mkdir(parents=True, exist_ok=True)
        state = {"module": module.state_dict(), "optimiser": optimiser.state_dict()}
        torch.save(state | {"step": done, "steps": steps}, checkpoint.with_suffix(".part"))
        checkpoint.with_suffix(".part").replace(checkpoint)

    started = saved = timed = time.monotonic()
    first, kept, settled = done, done, True
    module.train()
    try:
        while done < steps:
            if minutes is not None and done - first == 12:  # the first steps are slow and not counted
                pace = (time.monotonic() - timed) / 8
                steps = done + max(1, int((minutes * 60 - (time.monotonic() - started)) / pace))
            if done - first == 4:
                timed = time.monotonic()
            rise = min(1.0, (done + 1) / WARM_UP)
            for group in optimiser.param_groups:
                group["lr"] = learning_rate * rise * 0.5 * (1 + math.cos(math.pi * done / steps))
            value = loss(module, np.random.default_rng([seed, done]), done / steps)
            optimiser.zero_grad(set_to_none=True)
            value.backward()
            nn.utils.clip_grad_norm_(module.parameters(), 1.0)
            settled = False
            optimiser.step()
            done += 1
            settled = True
            if time.monotonic() - saved > SAVE_SECONDS:
                save()
                saved, kept = time.monotonic(), done
            yield Progress(part, done, steps, float(value.detach()))
    finally:  # also when the caller stops listening, or the person presses Ctrl-C, but not with half a step taken
        if settled and done > kept:
            save()
    module.eval()
