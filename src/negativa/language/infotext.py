"""The `parameters` text that pictures of this field carry: written and read as AUTOMATIC1111's web UI does.

    prompt
    Negative prompt: negative
    Steps: 30, Sampler: Euler a, CFG scale: 7.5, Seed: 7, Size: 128x128, ...

The middle line is left out when there is no negative. A value that holds a comma, colon or line break is written as a
JSON string. A text whose last line holds fewer than three `key: value` pairs has no settings.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from negativa.errors import InputError
from negativa.language.prompting.a1111 import TAG
from negativa.plain.receipt import Receipt
from negativa.plain.recipe import Recipe
from negativa.plain.samplers import SAMPLERS, USUAL

MARK: Final = "Negative prompt:"
PAIR: Final = re.compile(r'\s*(\w[\w \-/]{1,60}):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')
LEAST_PAIRS: Final = 3
SETTINGS: Final = {"Steps", "Sampler", "Schedule type", "CFG scale", "Distilled CFG Scale", "Seed", "Size", "Emphasis"}
#: Numbers, and what they are called in such a text.
NUMBERS: Final = (
    ("steps", "Steps", int),
    ("scale", "CFG scale", float),
    ("distilled_scale", "Distilled CFG Scale", float),
    ("seed", "Seed", int),
)
PROGRAM: Final = "Program"  # stands where another program's own way of saying it was read
USED: Final = SETTINGS | {"RNG", "Version", PROGRAM}
EMPHASES: Final = {"no-norm": "No norm"}  # what stands in such a text where it is not the usual
LITERAL: Final = "None"  # stands there where brackets are text
KNOWN: Final = {"Original", LITERAL, *EMPHASES.values()}
#: Samplers whose name alone means Karras' levels to today's web UI, and what says that these are not.
KARRAS_BY_NAME, UNIFORM = ("dpmpp_2m", "dpmpp_sde"), "Uniform"


@dataclass(frozen=True)
class Infotext:
    """What such a text says: the prompt, the negative prompt, and settings as written; `syntax` is that of its texts."""

    prompt: str
    negative: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    syntax: str = "a1111"

    def recipe(self, **changes: Any) -> Recipe:
        """As much of it as a recipe can say; what it leaves open takes its default.

        `changes` are fields of the recipe, in the place of what the text says of them. Raises `InputError` if a setting that is
        used holds no usable value.
        """
        known = self.settings
        values: dict[str, object] = {"prompt": self.prompt, "negative": self.negative, "syntax": self.syntax}
        for name, key, kind in NUMBERS:
            if key in known and name not in changes:
                values[name] = _converted(kind, key, known[key])
        if size := re.fullmatch(r"(\d{1,5})x(\d{1,5})", known.get("Size", "")):
            values |= {"width": int(size[1]), "height": int(size[2])}
        if emphasis := {label: name for name, label in EMPHASES.items()}.get(known.get("Emphasis", "")):
            values["emphasis"] = emphasis
        if known.get("Emphasis") == LITERAL:
            values["syntax"] = "plain"
        if "sampler" not in changes and (sampler := self._sampler()) is not None:
            values["sampler"] = sampler
        return Recipe.from_dict(values | changes)

    def unused(self) -> list[str]:
        """The settings that a recipe has no place for, and the LoRAs and their kin that the texts name, <lora:name:1>."""
        named = dict.fromkeys(TAG.findall(f"{self.prompt}\n{self.negative}"))
        used = USED if self.settings.get("Emphasis", "Original") in KNOWN else USED - {"Emphasis"}
        return [*(key for key in self.settings if key not in used), *named]

    def _sampler(self) -> str | None:
        written, schedule = self.settings.get("Sampler"), self.settings.get("Schedule type", "Automatic")
        if written is None:
            return None
        labels = {known.label.casefold(): name for name, known in SAMPLERS.items()}
        usual = ("Automatic", "Uniform")
        if written.casefold() == "euler" and "Distilled CFG Scale" in self.settings:  # of Flux, whose steps are even here too
            usual = (*usual, "Simple")
        full = written if schedule in usual else f"{written} {schedule}"
        if full.casefold() not in labels:
            ours = ", ".join(SAMPLERS)
            raise InputError(f"sampler: {full!r} stands in the picture; allowed in its place, if given: {ours}")
        return labels[full.casefold()]


def write(receipt: Receipt) -> str:
    """The text for a picture of ours. Negatives are joined by commas; weights, images and LoRAs stand in our own chunk only."""
    recipe = receipt.recipe
    settings = {
        "Steps": recipe.steps,
        "Sampler": SAMPLERS[recipe.sampler or USUAL].label,
        "Schedule type": UNIFORM if recipe.sampler in KARRAS_BY_NAME else "",
        "CFG scale": "" if recipe.scale is None else f"{recipe.scale:g}",
        "Distilled CFG Scale": "" if recipe.distilled_scale is None else f"{recipe.distilled_scale:g}",
        "Seed": recipe.seed,
        "Size": f"{recipe.width}x{recipe.height}",
        "Model hash": receipt.model_hash,
        "Model": recipe.model,
        "Emphasis": LITERAL if recipe.syntax == "plain" else EMPHASES.get(recipe.emphasis or "", ""),
        "TI hashes": ", ".join(f"{name}: {digest}" for name, digest in receipt.embeddings.items()),
        "Lora hashes": ", ".join(f"{Path(file).stem}: {digest}" for file, digest in receipt.loras.items()),
        "RNG": "CPU",
        "Version": f"negativa {receipt.versions.get('negativa', '')}".strip(),
    }
    negatives = ", ".join(one.text for one in recipe.negative if one.text)
    lines = [recipe.prompt, *([f"{MARK} {negatives}"] if negatives else [])]
    return "\n".join([*lines, ", ".join(f"{key}: {_quoted(str(value))}" for key, value in settings.items() if value != "")])


def read(text: str) -> Infotext:
    """Read such a text, ours or others'; anything that is not understood stays in the prompt."""
    *lines, last = text.strip().split("\n")
    pairs = PAIR.findall(last)
    if len(pairs) < LEAST_PAIRS:
        lines, pairs = [*lines, last], []
    prompt: list[str] = []
    negative: list[str] = []
    current = prompt
    for line in map(str.strip, lines):
        if line.startswith(MARK):
            current, line = negative, line.removeprefix(MARK).strip()
        current.append(line)
    settings = {key.strip(): _unquoted(value.strip()) for key, value in pairs}
    return Infotext("\n".join(prompt), "\n".join(negative), settings)


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False) if any(mark in value for mark in ",\n:") else value


def _unquoted(value: str) -> str:
    if len(value) < 2 or value[0] != '"' or value[-1] != '"':
        return value
    try:
        return str(json.loads(value))
    except ValueError:
        return value


def _converted(kind: type, key: str, value: str) -> object:
    try:
        return kind(value)
    except ValueError as error:
        raise InputError(f"{key}: {value!r} stands in the picture; allowed: a number") from error
