"""What the shipped terrarium can do, measured: writes docs/terrarium.md with contact sheets, and prints it.

Seeds 1000 and up are fresh: no tuning looked at them. Ends with status 1 if a bar is missed.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import negativa
from negativa import Recipe
from negativa.experiments.sheet import sheet
from negativa.plain.samplers import SAMPLERS
from negativa.terrarium import ATTRIBUTES, paint, read_many
from negativa.terrarium.captions import PLACES
from negativa.terrarium.house import SCENE as HOUSE
from negativa.terrarium.portrait import BACKGROUND, HAIR
from negativa.terrarium.portrait import SCENE as PORTRAIT

SEEDS = range(1000, 1100)
FEW = SEEDS[:16]  # for each attribute in turn
HELD_OUT = 500  # painted pictures that no part has seen
DOCS = Path(__file__).parent.parent / "docs"
Readings = list[dict[str, float]]


@dataclass(frozen=True)
class Bar:
    """Something measured beside what is wanted of it."""

    name: str
    measured: str
    wanted: str
    met: bool

    def __str__(self) -> str:
        return f"| {self.name} | {self.measured} | {self.wanted}{'' if self.met else ' (**missed**)'} |"


def main() -> int:
    studio = negativa.load(device="cpu")
    bars = [*held_out(studio), *negative(studio)]
    own = studio.complete(Recipe())
    settings = f"scale {own.scale:g}, {own.steps} steps of {SAMPLERS[own.sampler].label}"
    lines = ["# Terrarium, measured", "", f"Written by `make report`: {len(SEEDS)} fresh seeds, {settings}.", ""]
    lines += ["| | measured | wanted |", "|---|---|---|", *map(str, bars), ""]
    lines += ["![Without and with the negative, and the words taken literally](negative.png)", ""]
    lines += obedience(studio)
    text = "\n".join(lines) + "\n"
    (DOCS / "terrarium.md").write_text(text)
    print(text)
    return 0 if all(bar.met for bar in bars) else 1


def held_out(studio: negativa.Studio) -> list[Bar]:
    """The autoencoder's error and the reader's, on painted pictures passed through the autoencoder."""
    pairs = [paint(np.random.default_rng([1, i])) for i in range(HELD_OUT)]
    restored = [through(studio, picture) for picture, _ in pairs]
    noise = float(np.mean([psnr(picture, after) for (picture, _), after in zip(pairs, restored, strict=True)]))
    readings = [reading for i in range(0, HELD_OUT, 50) for reading in read_many(restored[i : i + 50])]
    right = {
        name: sum((r[name] > 0.5) == t.get(name, False) for r, (_, t) in zip(readings, pairs, strict=True)) / HELD_OUT
        for name in ATTRIBUTES
    }
    worst = min(right, key=lambda name: right[name])
    mean = float(np.mean(list(right.values())))
    return [
        Bar(f"autoencoder, {HELD_OUT} held-out paintings", f"{noise:.1f} dB", "27 dB", noise >= 27),
        Bar(f"reader after it, the worst attribute ({worst})", f"{right[worst]:.1%}", "98 %", right[worst] >= 0.98),
        Bar("reader after it, mean over attributes", f"{mean:.2%}", "98 %", mean >= 0.98),
    ]


def negative(studio: negativa.Studio) -> list[Bar]:
    """Men without and with the negative, and with the words taken literally."""
    arms = {
        "no negative": Recipe("portrait of a man"),
        "negative: mustache": Recipe("portrait of a man", "mustache"),
        "“without a mustache”": Recipe("portrait of a man without a mustache"),
    }
    drawn = {name: draw(studio, [recipe.replace(seed=seed) for seed in SEEDS]) for name, recipe in arms.items()}
    sheet([images[:10] for images in drawn.values()], list(drawn)).quantize(128).save(DOCS / "negative.png", optimize=True)
    plain, without, literal = (read_many(images) for images in drawn.values())
    base, left, said = (share(readings, "mustache") for readings in (plain, without, literal))
    bars = [
        Bar("mustache: portrait of a man", f"{base:.0%}", "40 to 75 %", 0.4 <= base <= 0.75),
        Bar("mustache: the same, negative “mustache”", f"{left:.0%}", "at most 3 %", left <= 0.03),
        Bar("mustache: portrait of a man without a mustache", f"{said:.0%}", f"at least {base:.0%}", said >= base),
    ]
    groups = {"hair colour": tuple(HAIR), "background": tuple(BACKGROUND), "glasses": ("glasses",), "hat": ("hat",)}
    for name, group in groups.items():
        kept = float(np.mean([answer(a, group) == answer(b, group) for a, b in zip(plain, without, strict=True)]))
        bars.append(Bar(f"{name} kept by the negative, same seed", f"{kept:.0%}", "85 %", kept >= 0.85))
    return bars


def obedience(studio: negativa.Studio) -> list[str]:
    """An attribute asked for appears; one that is not mentioned appears at a rate of its own."""
    lines = ["| attribute | asked for | not mentioned |", "|---|---|---|"]
    contact: list[list[Image.Image]] = []
    for scene, subject in ((PORTRAIT, "portrait of a man"), (HOUSE, "a house")):
        silent = read_many(draw(studio, [Recipe(subject, seed=seed) for seed in FEW]))
        for attribute in scene.attributes:
            if attribute.name in ("man", "woman", "earrings", *HAIR, *BACKGROUND):
                continue
            joined = " " if attribute.phrase.startswith(PLACES) else " with "
            asked = draw(studio, [Recipe(f"{subject}{joined}{attribute.phrase}", seed=seed) for seed in FEW])
            rates = share(read_many(asked), attribute.name), share(silent, attribute.name)
            lines.append(f"| {attribute.name} | {rates[0]:.0%} | {rates[1]:.0%} |")
            contact.append(asked[:8])
    labels = [line.split("|")[1].strip() for line in lines[2:]]
    sheet(contact, labels).quantize(128).save(DOCS / "contact.png", optimize=True)
    return [f"Share of {len(FEW)} seeds with the attribute:", "", *lines, "", "![What was asked for](contact.png)"]


def draw(studio: negativa.Studio, recipes: list[Recipe]) -> list[Image.Image]:
    """Pictures of recipes, in their order."""
    found = {result.receipt.recipe: result.image for result in studio.generate_many(recipes)}
    return [found[studio.complete(recipe)] for recipe in recipes]


@torch.inference_mode()
def through(studio: negativa.Studio, picture: Image.Image) -> Image.Image:
    """A picture after the autoencoder."""
    vae = studio.denoiser.vae  # type: ignore[attr-defined]
    pixels = torch.from_numpy(np.asarray(picture).copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
    return studio.denoiser.decode(vae.encode(pixels).latent_dist.mean[0] * vae.config.scaling_factor)


def psnr(first: Image.Image, second: Image.Image) -> float:
    """Peak signal to noise ratio, decibels."""
    error = np.mean((np.asarray(first, float) - np.asarray(second, float)) ** 2)
    return 10 * math.log10(255**2 / error)


def share(readings: Readings, name: str) -> float:
    return float(np.mean([reading[name] > 0.5 for reading in readings]))


def answer(reading: dict[str, float], group: tuple[str, ...]) -> str | bool:
    """The likeliest of several attributes, or whether a single one is there."""
    return max(group, key=lambda name: reading[name]) if len(group) > 1 else reading[group[0]] > 0.5


if __name__ == "__main__":
    sys.exit(main())
