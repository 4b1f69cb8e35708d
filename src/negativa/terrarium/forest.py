"""Forests: a clearing among trees, in its leaves, its light and its weather."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from negativa.terrarium.canvas import OVERSAMPLE, Canvas, Colour, darker, lighter, mix
from negativa.terrarium.scene import Attribute, Draw, Scene, Truth

LEAVES: dict[str, tuple[Colour, ...]] = {
    "green leaves": ((48, 128, 56), (92, 154, 50), (42, 116, 70), (132, 176, 62)),
    "autumn leaves": ((196, 44, 34), (226, 96, 28), (240, 176, 40), (214, 70, 44)),
    "neon leaves": ((255, 48, 196), (40, 224, 255), (160, 255, 52), (232, 70, 255)),
}
DAY: tuple[tuple[Colour, Colour], ...] = (
    ((118, 180, 228), (222, 238, 242)),
    ((150, 204, 222), (244, 240, 214)),
    ((138, 190, 212), (226, 240, 226)),
)
DUSK: tuple[tuple[Colour, Colour], ...] = (
    ((66, 70, 122), (196, 152, 172)),
    ((52, 80, 124), (150, 176, 200)),
    ((84, 66, 116), (226, 160, 142)),
)
DARK: tuple[tuple[Colour, Colour], ...] = (
    ((16, 14, 42), (66, 44, 104)),
    ((10, 22, 48), (28, 70, 104)),
    ((22, 14, 36), (84, 44, 92)),
)
MOSS: tuple[Colour, ...] = ((104, 142, 72), (120, 140, 78), (88, 130, 82))
BARK: tuple[Colour, ...] = ((98, 70, 50), (82, 64, 54), (112, 80, 56))
SAND: Colour = (230, 204, 158)
WATER: Colour = (44, 116, 214)

ATTRIBUTES = (
    Attribute("pines", "pines", 0.5),
    Attribute("birches", "birches", 0.5),
    Attribute("oaks", "oaks", 0.5),
    Attribute("green leaves", "green leaves", 0.3, hue=True),
    Attribute("autumn leaves", "autumn leaves", 0.5, hue=True),
    Attribute("neon leaves", "neon leaves", 0.5, hue=True),
    Attribute("path", "a path", 0.5),
    Attribute("moon", "a moon", 0.5),
    Attribute("fog", "fog", 0.5),
    Attribute("river", "a river", 0.5),
)


def draw(draw: Draw) -> None:
    draw.choice({"pines": 0.36, "birches": 0.32, "oaks": 0.32})
    leaves = draw.choice({"green leaves": 0.5, "autumn leaves": 0.3, "neon leaves": 0.2})
    draw.flag("path", 0.45)
    draw.flag("moon", 0.6 if leaves == "neon leaves" else 0.29)
    draw.flag("fog", 0.5 if leaves == "autumn leaves" else 0.29)
    draw.flag("river", 0.4)


def paint(canvas: Canvas, truth: Truth, rng: np.random.Generator) -> None:
    hues = next(colours for name, colours in LEAVES.items() if truth[name])
    tree = next(painter for name, painter in TREES.items() if truth[name])
    neon = truth["neon leaves"]
    sky = (DARK if neon else DUSK if truth["moon"] else DAY)[int(rng.integers(3))]
    tint, shade = ((18, 18, 66), 0.62) if neon else ((52, 44, 92), 0.26) if truth["moon"] else (sky[1], 0.0)
    horizon, gap = 69 + rng.uniform(-3, 3), 64 + rng.uniform(-9, 9)
    moon = gap + rng.uniform(-4, 4), 19 + rng.uniform(-3, 4), rng.uniform(11, 13.5)
    side, across = (1 if rng.random() < 0.5 else -1), rng.random() < 0.45
    moss, bark = MOSS[int(rng.integers(3))], BARK[int(rng.integers(3))]
    favourite, drift = int(rng.integers(4)), rng.uniform(-1, 1, 8)
    fog = mix((242, 245, 248), sky[1], 0.4 if neon else 0.1)
    spread = 1.14 if truth["oaks"] else 1.0
    ground = mix(moss, tint, 0.74) if neon else mix(moss, tint, shade)
    air = fog if truth["fog"] else sky[0] if neon else sky[1]

    def plant(x: float, base: float, h: float, away: float) -> None:
        share = rng.random()
        leaf = mix(hues[favourite], hues[int(rng.integers(4))], round(share) if neon else share)
        if away < 0.3:
            canvas.ellipse(x + 3, base, h * 0.2, h * 0.035, darker(ground, 0.3))
        for i in range(3 if neon and away == 0 else 0):
            if not truth["fog"]:
                halo = mix(sky[0], leaf, 0.2 + i * 0.2)
                _sheer(canvas, x, base - h * 0.55, h * (0.46 - i * 0.05), h * (0.52 - i * 0.05), halo, 0)
            _sheer(canvas, x, base + 1, h * (0.4 - i * 0.06), h * (0.07 - i * 0.012), mix(ground, leaf, 0.25 + i * 0.2), 1)
        leaf = leaf if neon else mix(leaf, tint, shade * 0.5)
        tree(canvas, rng, x, base, h, mix(leaf, air, away), mix(mix(bark, tint, shade), air, away), away)

    canvas.gradient(*sky, 0, horizon + 8)
    if truth["moon"]:
        _moon(canvas, *moon, mix(*sky, 0.25))
    for away, count, tall in ((0.58, 9, 31), (0.38, 8, 33)):
        canvas.ellipse(gap + 70 * drift[0], horizon + 8, 150, 24 * away, mix(darker(ground, 0.2), air, away))
        for i in range(count):
            x = (i + rng.uniform(0.2, 0.8)) * 132 / count - 2
            plant(x, horizon + 5, tall * rng.uniform(0.85, 1.15) + min(16, abs(x - gap) * 0.25), away)
    if truth["fog"]:
        for i in range(2):
            _sheer(canvas, gap + 40 * drift[i], horizon - 5 - 3 * drift[i], 170 - i * 40, 21 - i * 8, fog, i, 1)
    _ground(canvas, rng, gap, horizon + 5, ground)
    if truth["path"]:
        _path(canvas, gap, horizon + 5, 0 if across else -side, mix(SAND, tint, shade * 0.55))
    if truth["river"]:
        _river(canvas, gap, horizon + 5, 0 if across else side, mix(WATER, tint, shade * 0.3))
        if truth["path"] and across:
            _bridge(canvas, gap, horizon + 42, mix((158, 104, 62), tint, shade * 0.65))
    for step in (-40, 40, -30, 30):
        plant(gap + step * spread + rng.uniform(-4, 4), horizon + rng.uniform(7, 12), rng.uniform(44, 58), 0.16)
    if truth["fog"]:
        for i in range(2):
            _sheer(canvas, gap + 40 * drift[i + 3], horizon - 5 + i * 9 + 2 * drift[i], 110, 7, fog, i, 1)
    for direction in (-1, 1):
        h = rng.uniform(66, 92)
        plant(min(124, max(4, gap + direction * spread * rng.uniform(45, 54))), horizon + (h - 46) * 0.54, h, 0.0)
    if truth["fog"]:
        for i, x in enumerate((gap - 46, gap + 46)):
            _sheer(canvas, x + 14 * drift[i + 5], horizon - 12 + 5 * drift[6], 76, 7, fog, 2 * i, 1)
            _sheer(canvas, x - 14 * drift[i + 5], horizon - 2 + 5 * drift[7], 70, 7, fog, 2 - 2 * i, 1)


def _moon(canvas: Canvas, x: float, y: float, r: float, sky: Colour) -> None:
    for i in range(6):
        canvas.ellipse(x, y, r + 6 - i, r + 6 - i, mix(sky, (246, 238, 206), 0.05 + i * 0.05))
    canvas.ball(x, y, r, r, (248, 240, 212), 0.1)
    for dx, dy, size in ((-0.3, 0.3, 0.24), (0.35, 0.1, 0.17), (0.05, -0.4, 0.15)):
        canvas.ellipse(x + dx * r, y + dy * r, size * r, size * r, (226, 216, 190))


def _sheer(canvas: Canvas, x: float, y: float, rx: float, ry: float, colour: Colour, phase: int, tip: float = 0.5) -> None:
    """An ellipse one can see through: of the rows that make up a pixel it fills only that of this phase; `tip` 1 has points."""
    for row in range(round((y - ry) * OVERSAMPLE), round((y + ry) * OVERSAMPLE)):
        middle = (row + 0.5) / OVERSAMPLE
        if row % OVERSAMPLE == phase and abs(middle - y) < ry:
            half = rx * (1 - ((middle - y) / ry) ** 2) ** tip
            canvas.rectangle(x - half, middle, x + half, middle, colour)


def _ground(canvas: Canvas, rng: np.random.Generator, gap: float, top: float, moss: Colour) -> None:
    canvas.gradient(lighter(moss, 0.08), darker(moss, 0.22), top, 128)
    for i in range(3):
        _sheer(canvas, gap, top + 16, 58 - i * 11, 13 - i * 2.5, mix(moss, (176, 206, 84), 0.12), i)
    for i in range(9):
        x, y = (i + rng.random()) * 14, rng.uniform(top + 12, 122)
        size, blade = 2.5 + (y - top) * 0.06, mix(lighter(moss, 0.16), darker(moss, 0.3), rng.random())
        for lean in (-0.8, 0.0, 0.8):
            tip = x + lean * size, y - size * (1.7 - abs(lean) * 0.5)
            canvas.polygon([(x - size * 0.35 + lean, y), tip, (x + size * 0.35 + lean, y)], blade)


def _path(canvas: Canvas, gap: float, top: float, side: int, sand: Colour) -> None:
    spine = [(gap + side * 4, top, 4), (gap + side * 4 + 2.5, top + 10, 6.5), (gap + side * 14, top + 27, 11.5)]
    spine += [(gap + side * 32, 134, 21)]
    _ribbon(canvas, spine, darker(sand, 0.25), 1.8)
    _ribbon(canvas, spine, sand, 0)


def _river(canvas: Canvas, gap: float, top: float, side: int, water: Colour) -> None:
    shine = lighter(water, 0.4)
    for colour, more in ((darker(water, 0.45), 2.0), (water, 0.0)):
        if side:
            spine = [(gap + side * 5, top, 4), (gap + side * 12 - 1, top + 11, 6), (gap + side * 18, top + 28, 12.5)]
            _ribbon(canvas, [*spine, (gap + side * 39, 134, 24)], colour, more)
        else:
            waves = [(x, top + 37 + 2.5 * math.sin((x - gap) / 17)) for x in range(-16, 152, 8)]
            low = [(x, y + 9 + more) for x, y in reversed(waves)]
            canvas.polygon([*((x, y - 9 - more) for x, y in waves), *low], colour)
    for i in range(6):
        y = top + (14 + i * 7 if side else 31.5 + i * 2.2)
        x = gap + side * (10 + i * 5) + (i % 2) * 5 - 2 if side else (10 + i * 43) % 118
        long = 2 + i * 0.9 if side else 6
        canvas.line([(x - long, y), (x + long, y)], shine, 1.4)


def _ribbon(canvas: Canvas, spine: list[tuple[float, float, float]], colour: Colour, more: float) -> None:
    right = [(x + half + more, y) for x, y, half in spine]
    left = [(x - half - more, y) for x, y, half in reversed(spine)]
    canvas.blob([*right, *left], colour)


def _bridge(canvas: Canvas, gap: float, y: float, wood: Colour) -> None:
    for i in range(7):
        half = 13 + i * 0.7
        canvas.rectangle(gap - half, y - 13 + i * 4, gap + half, y - 9.2 + i * 4, lighter(wood, 0.12) if i % 2 else wood)
    for direction in (-1, 1):
        rail = [(gap + direction * (13 + i * 0.75), y - 19 + i * 4 - 3 * math.sin(i * math.pi / 6)) for i in range(7)]
        for px, py in rail[::3]:
            canvas.rectangle(px - 1.3, py, px + 1.3, py + 8, darker(wood, 0.4))
        canvas.line(rail, darker(wood, 0.3), 2.2)


def _pine(
    canvas: Canvas, rng: np.random.Generator, x: float, base: float, h: float, leaf: Colour, bark: Colour, away: float
) -> None:
    needles = darker(leaf, 0.34 * (1 - away))
    canvas.rectangle(x - h * 0.035, base - h * 0.2, x + h * 0.035, base, darker(bark, 0.2))
    tiers = 3 if away > 0.3 else 5
    for i in range(tiers):
        low = base - h * (0.12 + 0.66 * i / tiers)
        top = low - h * 0.9 / tiers if i < tiers - 1 else base - h
        wide = h * (0.25 - 0.17 * i / tiers) * rng.uniform(0.92, 1.08)
        shade = lighter(needles, 0.05 * i)
        canvas.polygon([(x - wide, low), (x, top), (x + wide, low), (x + wide * 0.4, low + h * 0.02)], darker(shade, 0.22))
        canvas.polygon([(x - wide, low), (x, top), (x + wide * 0.25, low + h * 0.015), (x - wide * 0.3, low + h * 0.03)], shade)


def _birch(
    canvas: Canvas, rng: np.random.Generator, x: float, base: float, h: float, leaf: Colour, bark: Colour, away: float
) -> None:
    light, white = lighter(leaf, 0.16 * (1 - away)), mix((246, 244, 238), bark, 0.1 + 0.5 * away)
    for shift, drop in ((0.0, 0.0),) if away > 0.3 else ((-0.1, -0.05), (0.09, 0.0)):
        foot, low, wide = x + shift * h, base + drop * h, max(1.1, 0.034 * h)
        lean = rng.uniform(-0.03, 0.03) * h + shift * h * 0.3
        if away > 0.3:
            canvas.rectangle(foot - wide, low - h * 0.7, foot + wide, low, white)
            for up, size in ((0.6, 0.2), (0.8, 0.15)):
                canvas.ellipse(foot + lean, low - h * up, h * size, h * 0.18, lighter(light, up * 0.1))
            continue
        crown = [(lean * up + rng.uniform(-0.09, 0.09) * h, low - h * up) for up in (0.58, 0.66, 0.74, 0.83, 0.93)]
        for dx, y in crown[:2]:
            _clump(canvas, foot + dx, y, h * 0.16, h * 0.1, darker(light, 0.16), away)
        left, right = foot + lean - wide * 0.5, foot + lean + wide * 0.5
        canvas.polygon([(foot - wide, low), (left, low - h * 0.8), (right, low - h * 0.8), (foot + wide, low)], white)
        for i in range(6):
            y, bark_x = low - h * (0.05 + i * 0.08), foot + lean * (0.05 + i * 0.08) / 0.8
            start = bark_x + (wide * 0.9 if i % 2 else -wide * 0.9)
            canvas.line([(start, y), (bark_x, y + 0.6)], (44, 40, 46), max(1.2, h * 0.02))
        for i, (dx, y) in enumerate(crown[2:]):
            size = h * (0.155 - i * 0.025)
            _clump(canvas, foot + dx, y, size, size * 0.72, lighter(light, i * 0.06), away)


def _oak(
    canvas: Canvas, rng: np.random.Generator, x: float, base: float, h: float, leaf: Colour, bark: Colour, away: float
) -> None:
    w = h * 0.085
    trunk = [(x - w * 1.7, base + 1), (x - w, base - h * 0.12), (x - w, base - h * 0.5)]
    canvas.blob([*trunk, *((2 * x - px, y) for px, y in reversed(trunk))], bark)
    clumps = [(-0.27, 0.56, 0.17), (0.27, 0.56, 0.17), (0, 0.58, 0.22), (-0.17, 0.74, 0.19), (0.18, 0.73, 0.19)]
    clumps += [(0, 0.82, 0.18)]
    for dx, up, r in clumps[2:] if away > 0.3 else clumps:
        size = h * r * rng.uniform(0.92, 1.12)
        shade = darker(leaf, max(0.0, 0.8 - up) * 0.66)
        _clump(canvas, x + dx * h, base - h * up, size, size * 0.88, shade, away)


def _clump(canvas: Canvas, x: float, y: float, rx: float, ry: float, leaf: Colour, away: float) -> None:
    """Part of a crown, the plainer the farther away."""
    if away == 0:
        canvas.ball(x, y, rx, ry, leaf, 0.15)
        return
    canvas.ellipse(x, y, rx, ry, darker(leaf, 0.1) if away < 0.3 else leaf)
    if away < 0.3:
        canvas.ellipse(x - rx * 0.1, y - ry * 0.13, rx * 0.78, ry * 0.76, lighter(leaf, 0.08))


TREES: dict[str, Callable[..., None]] = {"pines": _pine, "birches": _birch, "oaks": _oak}

SCENE = Scene("forest", 0.1, ATTRIBUTES, draw, paint)
