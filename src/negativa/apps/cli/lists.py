"""`negativa rules`, `samplers`, `models`, `measures`: what there is to choose from."""

from __future__ import annotations

import re
import sys
from typing import Annotated, Final

import typer

COST: Final = re.compile(r"Cost: [^.;,(]*")
PAPER: Final = re.compile(r"arXiv\s+\d{4}\.\d{5}")


def rules(name: Annotated[str | None, typer.Argument(help="Show this rule's formula and knobs.")] = None) -> None:
    """List the guidance rules with their space, cost and paper; or show one with its formula and knobs."""
    from negativa.rules import RULES, WRAPPERS, about, space_of

    if name is not None:
        print(about(name))
        return
    for rule, kind in (RULES | WRAPPERS).items():
        said = sys.modules[kind.__module__].__doc__ or ""
        cost, paper = COST.search(said), PAPER.search(said)
        facts = [
            "a wrapper" if rule in WRAPPERS else "",
            f"space: {space_of(kind)}",
            cost[0].strip().lower() if cost else "",
            " ".join(paper[0].split()) if paper else "",
        ]
        _row(rule, f"{said.splitlines()[0]} ({'; '.join(filter(None, facts))})")


def samplers() -> None:
    """List the samplers."""
    from negativa.plain.samplers import SAMPLERS

    for name, sampler in SAMPLERS.items():
        twice = ", asks the network twice a step" if sampler.evaluations == 2 else ""
        _row(name, f"{sampler.label}: diffusers' {sampler.scheduler}{twice}")


def models() -> None:
    """List the models that need no download, and what else --model takes."""
    kinds = "portraits, houses, streets, forests, meals and armchairs"
    _row("terrarium", f"a small Stable Diffusion of {kinds}, 128x128, shipped with this package")
    _row("exact", "a mixture of four labelled Gaussians whose truth is known: north, east, south, west")
    _row("FOLDER", "a diffusers folder of Stable Diffusion 1.x, 2.x, XL or 3, or of Flux.1, safetensors")
    _row("FILE", "a single .safetensors file of Stable Diffusion 1.x, 2.x or XL")
    _row("OWNER/NAME", "a Hugging Face id, fetched from the hub into its cache")


def negatives() -> None:
    """List the named negatives: what each stands for, where it is from, and for which models; use one as -n @NAME."""
    from negativa.language.named import library, own

    for name, one in library(own()).items():
        facts = "; ".join(filter(None, (one.source, one.models and f"for {one.models}")))
        _row(f"@{name}", f"{one.text} ({facts})" if facts else one.text)


def measures() -> None:
    """List the measures of studies and ablations: what they count, which way is good, what they need."""
    from dataclasses import MISSING, fields

    from negativa.measures import MEASURES

    for name, kind in MEASURES.items():
        written = name
        for i, field in enumerate(fields(kind)):  # type: ignore[arg-type]
            part = f"{'@' if i else ':'}{field.name.upper()}"
            written += part if field.default is MISSING else f"[{part}]"
        better = "" if kind.better == "neither" else f"; {kind.better} is better"
        needs = "" if kind.needs == "nothing" else f"; needs {kind.needs}"
        of = {"picture": "of a picture", "pair": "of a picture beside the one without the negative", "arm": "of a whole arm"}
        _row(written, f"{of[kind.over]}: {kind.unit}{better}{needs}")


def _row(name: str, text: str) -> None:
    print(f"{name:<26} {text}")
