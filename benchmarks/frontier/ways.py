"""What is compared: every rule, cfg in every wrapper, and settings that are meant to cost little."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from negativa import Recipe
from negativa.rules import RULES, WRAPPERS, Rule, build

OTHERS = tuple(f"nag:{name}" for name in ("flux", "sd35", "sana", "pixart", "wan"))  # for models that are no U-Nets
WEIGHTS = (0.5, 1.0, 2.0)  # of the negative: a strength that every rule knows


@dataclass(frozen=True)
class Way:
    """Fields of a recipe beside prompt, negative and seed, and what to call them."""

    name: str
    fields: dict[str, Any]


def ways() -> list[Way]:
    """Every rule and preset as it is, those of equal numbers once, cfg in every wrapper, and settings meant to cost little.

    Not among them: `none`, which hears no negative, and `autoguidance`, for which terrarium has no weaker model.
    """
    found, seen = list[Way](), list[Rule]()
    for name, kind in RULES.items():
        if name in ("none", "autoguidance"):
            continue
        sampler = next(iter(getattr(kind, "samplers", ("euler_a",))))
        for preset in ("", *getattr(kind, "PRESETS", ())):
            rule = f"{name}:{preset}".rstrip(":")
            if rule in OTHERS:
                continue
            given = {"rule": rule} if sampler == "euler_a" else {"rule": rule, "sampler": sampler}
            if (built := build(Recipe(scale=2.0, **given))) not in seen:
                seen.append(built)
                found.append(Way(rule if sampler == "euler_a" else f"{rule}, {sampler}", given))
    found += [Way(f"cfg, {name}", {"wrappers": (name,)}) for name in WRAPPERS]
    found.append(Way("cfg, window noun", {"window": "noun"}))
    found.append(Way("cfg, ddim", {"sampler": "ddim"}))  # beside cfg_pp, which cannot have the others' sampler
    found += [Way(f"{rule}, reuse", {"rule": rule, "wrappers": ("reuse",)}) for rule in ("nag", "nag:sdxl", "ong")]
    found += [Way(f"{rule} at scale 1", {"rule": rule, "scale": 1.0}) for rule in ("nag", "vsf", "ong")]
    return found
