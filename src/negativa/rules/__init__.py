"""The rules by name."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final

from negativa.errors import InputError, nearest
from negativa.plain.knobs import knobs_of
from negativa.plain.recipe import Recipe
from negativa.plain.samplers import SAMPLERS
from negativa.rules.adaptive import Adaptive
from negativa.rules.apg import AdaptiveProjected
from negativa.rules.autoguidance import Autoguidance
from negativa.rules.ccfg import Contrastive
from negativa.rules.cfg import ClassifierFree
from negativa.rules.cfg_pp import PlusPlus
from negativa.rules.cfg_zero import ZeroStar
from negativa.rules.composable import Composable
from negativa.rules.crg import ConceptRemoval
from negativa.rules.dng import Dynamic
from negativa.rules.fdg import FrequencyDecoupled
from negativa.rules.interval import Interval
from negativa.rules.mambo import MagnitudeAware
from negativa.rules.nag import NormalizedAttention
from negativa.rules.nasa import NegativeAway
from negativa.rules.negtome import NegativeTokenMerging
from negativa.rules.none import Unguided
from negativa.rules.ong import OrthogonalAttention
from negativa.rules.pag import PerturbedAttention
from negativa.rules.perp_neg import PerpNeg
from negativa.rules.ramp import Ramp
from negativa.rules.rescale import Rescale
from negativa.rules.reuse import Reuse
from negativa.rules.rule import Memory, Predictions, Rule
from negativa.rules.seg import SmoothedEnergy
from negativa.rules.sega import Semantic
from negativa.rules.signed import Signed
from negativa.rules.sld import SafeLatent
from negativa.rules.slg import SkipLayer
from negativa.rules.tcfg import Tangential
from negativa.rules.threshold import Threshold
from negativa.rules.vsf import ValueSignFlip
from negativa.rules.window import Window
from negativa.rules.wrapper import Wrapper

RULES: Final[dict[str, type]] = {
    "none": Unguided,
    "cfg": ClassifierFree,
    "composable": Composable,
    "signed": Signed,
    "perp_neg": PerpNeg,
    "sld": SafeLatent,
    "sega": Semantic,
    "dng": Dynamic,
    "ccfg": Contrastive,
    "crg": ConceptRemoval,
    "apg": AdaptiveProjected,
    "cfg_pp": PlusPlus,
    "cfg_zero": ZeroStar,
    "tcfg": Tangential,
    "mambo": MagnitudeAware,
    "fdg": FrequencyDecoupled,
    "autoguidance": Autoguidance,
    "pag": PerturbedAttention,
    "seg": SmoothedEnergy,
    "slg": SkipLayer,
    "nag": NormalizedAttention,
    "vsf": ValueSignFlip,
    "nasa": NegativeAway,
    "ong": OrthogonalAttention,
    "negtome": NegativeTokenMerging,
}
#: What a rule can be wrapped in.
WRAPPERS: Final[dict[str, type]] = {
    "interval": Interval,
    "rescale": Rescale,
    "threshold": Threshold,
    "ramp": Ramp,
    "adaptive": Adaptive,
    "reuse": Reuse,
}


def build(recipe: Recipe) -> Rule:
    """The rule that a recipe names, "NAME" or "NAME:PRESET", with the recipe's scale, knobs, wrappers and window.

    A knob that is given counts before the preset's. Raises `InputError` for an unknown rule, preset, knob or wrapper, and
    for a value out of range.
    """
    kind, (name, colon, preset) = kind_of(recipe), recipe.rule.partition(":")
    presets, known = getattr(kind, "PRESETS", {}), knobs_of(kind)
    if colon and preset not in presets:
        raise InputError(f"rule: {name!r} has no preset {preset!r}; {nearest(preset, presets) if presets else 'it has none'}")
    values: dict[str, Any] = dict(presets.get(preset, {}))
    for knob, value in recipe.knobs:
        if knob not in known:
            allowed = nearest(knob, known) if known else "it has none"
            raise InputError(f"knobs: the rule {name!r} has no knob {knob!r}; {allowed}")
        values[knob] = known[knob].check(f"knobs: {knob}", value)
    if recipe.sampler and recipe.sampler not in (samplers := samplers_of(recipe)):
        raise InputError(f"sampler: {recipe.sampler!r} was given; allowed with the rule {name!r}: {', '.join(samplers)}")
    if has_scale(recipe):
        values["scale"] = recipe.scale
    rule = kind(**values)
    for one in recipe.wrappers:
        rule = _wrapped(rule, one)
    start, stop = recipe.window
    return rule if (start, stop) == (0, 1) else Window(rule, start, stop)


def kind_of(recipe: Recipe) -> type:
    """The class of the rule that a recipe names. Raises `InputError` for an unknown rule."""
    return _known("rule", recipe.rule.partition(":")[0], RULES)


def samplers_of(recipe: Recipe) -> tuple[str, ...]:
    """The samplers that the rule of a recipe works with, the first of them first. Raises `InputError` for an unknown rule."""
    return getattr(kind_of(recipe), "samplers", tuple(SAMPLERS))


def has_scale(recipe: Recipe) -> bool:
    """Whether the rule that a recipe names reads a scale. Raises `InputError` for an unknown rule."""
    return "scale" in kind_of(recipe).__dataclass_fields__


def _wrapped(rule: Rule, written: str) -> Rule:
    """The rule in a wrapper that is written NAME or NAME:FIELD=VALUE:FIELD=VALUE."""
    name, *parts = written.split(":")
    kind = _known("wrappers", name, WRAPPERS)
    known, names = knobs_of(kind), [one.name for one in fields(kind) if one.name != "rule"]
    values: dict[str, Any] = {}
    for part in parts:
        field, _, value = part.partition("=")
        if field not in names:
            raise InputError(f"wrappers: {name!r} has no {field!r}; {nearest(field, names)}")
        if field in values:
            raise InputError(f"wrappers: {written!r} has {field!r} twice; allowed: once")
        values[field] = known[field].check(f"wrappers: {name} {field}", _number(field, value)) if field in known else value
    return kind(rule, **values)


def _number(field: str, value: str) -> float:
    try:
        return float(value)
    except ValueError as error:
        raise InputError(f"wrappers: {field}={value} was given; allowed: a number") from error


def _known(field: str, name: str, table: Mapping[str, type]) -> type:
    if name not in table:
        raise InputError(f"{field}: there is no {'rule' if table is RULES else 'wrapper'} {name!r}; {nearest(name, table)}")
    return table[name]


def space_of(kind: type) -> str:
    """The space that a rule or wrapper works in, in words."""
    return (kind.works_in or "that of the rule") if issubclass(kind, Wrapper) else kind.space


def about(name: str) -> str:
    """What the file of a rule or wrapper says of it, and its knobs and presets. Raises `InputError` for an unknown name."""
    if name not in (known := RULES | WRAPPERS):
        raise InputError(f"rule: there is no rule or wrapper {name!r}; {nearest(name, known)}")
    kind = known[name]
    lines = [(sys.modules[kind.__module__].__doc__ or "").strip(), ""]
    for knob, one in knobs_of(kind).items():
        lines.append(f"{knob} = {one.default:g} ({one.least:g} to {one.most:g}): {one.help}")
    for preset, values in getattr(kind, "PRESETS", {}).items():
        lines.append(f"{name}:{preset}: {', '.join(f'{knob} {value:g}' for knob, value in values.items())}")
    return "\n".join(lines).rstrip()


__all__ = [
    "RULES",
    "WRAPPERS",
    "ClassifierFree",
    "Memory",
    "Predictions",
    "Rule",
    "Unguided",
    "Window",
    "about",
    "build",
    "has_scale",
    "kind_of",
    "samplers_of",
    "space_of",
]
