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
LOW = 2.0  # a scale at which guidance alone leaves flaws to remove


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
        lines.append(f"| {name} | {base:.0f} % | {removed[name]:.0f} % of {len(had)} | {kept[-1]:.0f} % |")
        contact[f"{name}, before"], contact[f"{name}, after"] = plain[scene.name][:8], drawn[:8]
    worst = min(removed, key=removed.__getitem__)
    found = [
        Bar(f"negative “X” removes X, {NEGATIVES} attributes: mean", float(np.mean([*removed.values()])), 95),
        Bar(f"the same, worst ({worst})", removed[worst], 85),
        Bar("the rest kept, same seed: mean", float(np.mean(kept)), 90),
        flaws(None),
        flaws(LOW),
    ]
    header = [f"| negative | unasked, of {SEEDS} pictures | removed | the rest kept |", "|---|---|---|---|"]
    return found, header + lines, contact


def flaws(scale: float | None) -> Bar:
    """How often the reader finds any flaw with the negative `QUALITY`, beside half of how often without, over all scenes."""
    plain, cleaned = (
        [seeded(Recipe(subject(scene), negative), SEEDS, scale) for scene in SCENES.values()] for negative in ((), (QUALITY,))
    )
    draw([one for recipes in plain + cleaned for one in recipes], "flaws")
    without, left = (float(np.mean([flaw_rate(draw(recipes)) for recipes in arm])) for arm in (plain, cleaned))
    title = "pictures with a flaw" if scale is None else f"the same at scale {scale:g}"
    count = SEEDS * len(SCENES)
    return Bar(f"{title}, of {count}, with the negative “{QUALITY}”; {without:.1f} % without it", left, without / 2, most=True)


def flaw_rate(images: list[Image.Image]) -> float:
    """Percentage of pictures in which the reader finds any flaw."""
    return 100 * float(np.mean([any(reading[name] > 0.5 for name in FLAWED) for reading in read(images)]))
