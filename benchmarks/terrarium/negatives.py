"""Negatives: they remove what they name, keep the rest, and clean up flaws."""

from __future__ import annotations

import numpy as np
from common import Bar, draw, every_attribute, read, seeded, share, subject
from PIL import Image

from negativa import Recipe
from negativa.terrarium.painter import FLAWED, SCENES

SEEDS = 32
NEGATIVES = 20  # attributes, those that appear most often unasked
QUALITY = "blurry, pixelated, jpeg artifacts, watermark, deformed"


def bars() -> tuple[list[Bar], list[str], dict[str, list[Image.Image]]]:
    """The bars, a table of negatives, and pictures without and with each of them."""
    plain = {name: draw(seeded(Recipe(subject(scene)), SEEDS)) for name, scene in SCENES.items()}
    before = {name: read(images) for name, images in plain.items()}
    common = [
        (share(before[scene.name], attribute.name), scene, attribute)
        for scene, attribute in every_attribute()
        if attribute.name not in scene.subjects
    ]
    common.sort(key=lambda one: -one[0])
    draw([one for _, scene, a in common[:NEGATIVES] for one in seeded(Recipe(subject(scene), a.name), SEEDS)], "negatives")
    removed, kept, lines, contact = dict[str, float](), list[float](), list[str](), dict[str, list[Image.Image]]()
    for base, scene, attribute in common[:NEGATIVES]:
        drawn = draw(seeded(Recipe(subject(scene), attribute.name), SEEDS))
        after, name = read(drawn), f"{scene.name}: {attribute.name}"
        had = [i for i, reading in enumerate(before[scene.name]) if reading[attribute.name] > 0.5]
        removed[name] = 100 * float(np.mean([after[i][attribute.name] <= 0.5 for i in had]))
        others = [other.name for other in scene.attributes if other.name != attribute.name]
        same = [
            (a[other] > 0.5) == (b[other] > 0.5) for a, b in zip(before[scene.name], after, strict=True) for other in others
        ]
        kept.append(100 * float(np.mean(same)))
        lines.append(f"| {name} | {base:.0f} % | {removed[name]:.0f} % | {kept[-1]:.0f} % |")
        contact[f"{name}, before"], contact[f"{name}, after"] = plain[scene.name][:8], drawn[:8]
    worst = min(removed, key=removed.__getitem__)
    flawed = [flaw_rate(Recipe(subject(scene), negative)) for scene in SCENES.values() for negative in ((), (QUALITY,))]
    found = [
        Bar(f"negative “X” removes X, {NEGATIVES} attributes: mean", float(np.mean([*removed.values()])), 95),
        Bar(f"the same, worst ({worst})", removed[worst], 85),
        Bar("the rest kept, same seed: mean", float(np.mean(kept)), 90),
        Bar(
            f"pictures with a flaw, with the negative “{QUALITY}”; {np.mean(flawed[::2]):.0f} % without it",
            float(np.mean(flawed[1::2])),
            float(np.mean(flawed[::2])) / 2,
            most=True,
        ),
    ]
    header = ["| negative | unasked | removed | the rest kept |", "|---|---|---|---|"]
    return found, header + lines, contact


def flaw_rate(recipe: Recipe) -> float:
    """Percentage of pictures in which the reader finds any flaw."""
    readings = read(draw(seeded(recipe, SEEDS)))
    return 100 * float(np.mean([any(reading[name] > 0.5 for name in FLAWED) for reading in readings]))
