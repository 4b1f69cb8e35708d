"""`negativa rules`, `samplers`, `models`: what there is to choose from."""

from __future__ import annotations

import sys


def rules() -> None:
    """List the guidance rules."""
    from negativa.rules import RULES

    for name, kind in RULES.items():
        _row(name, (sys.modules[kind.__module__].__doc__ or "").splitlines()[0])


def samplers() -> None:
    """List the samplers."""
    from negativa.plain.samplers import SAMPLERS

    for name, sampler in SAMPLERS.items():
        twice = ", asks the network twice a step" if sampler.evaluations == 2 else ""
        _row(name, f"{sampler.label}: diffusers' {sampler.scheduler}{twice}")


def models() -> None:
    """List the models that need no download, and what else --model takes."""
    _row("terrarium", "a small Stable Diffusion of portraits and houses, 128x128, shipped with this package")
    _row("FOLDER", "a diffusers folder of Stable Diffusion 1.x or 2.x, safetensors")
    _row("FILE", "a single .safetensors file of Stable Diffusion 1.x or 2.x")
    _row("OWNER/NAME", "a Hugging Face id, fetched from the hub once")


def _row(name: str, text: str) -> None:
    print(f"{name:<16} {text}")
