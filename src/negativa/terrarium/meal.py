"""Meals: a hamburger or a soup on a table, seen from the side and a little from above."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

from negativa.errors import InputError
from negativa.terrarium.canvas import Canvas, Colour, darker, lighter, mix
from negativa.terrarium.scene import Attribute, Draw, Scene, Truth

Colours = tuple[Colour, ...]

PALE_WALLS: Colours = ((238, 224, 196), (186, 210, 200), (230, 188, 182), (204, 196, 222), (176, 204, 226), (222, 206, 150))
DEEP_WALLS: Colours = ((64, 104, 122), (92, 84, 128), (52, 64, 92), (166, 100, 88), (96, 116, 84))
BARE_TABLES: Colours = ((150, 100, 62), (94, 64, 50), (206, 168, 122), (228, 226, 220), (72, 74, 84))
CLOTHS: Colours = ((88, 122, 164), (136, 158, 136), (218, 160, 168), (84, 154, 156), (158, 74, 76), (146, 128, 178))
PLATES: Colours = ((248, 248, 246), (248, 248, 246), (176, 210, 236), (244, 190, 170), (176, 222, 206), (246, 226, 150))
BOWLS: Colours = ((70, 110, 170), (236, 230, 220), (200, 96, 80), (70, 140, 130), (86, 84, 96), (224, 170, 190))
SOUPS: Colours = ((222, 132, 52), (240, 222, 176), (158, 96, 56))
JUICES: Colours = ((246, 150, 40), (78, 42, 32), (232, 96, 130), (134, 200, 70), (244, 214, 90), (80, 170, 220))
STRAWS: Colours = ((236, 70, 80), (50, 110, 210), (246, 130, 40), (50, 160, 90), (216, 80, 170))
FRY: Colour = (248, 200, 74)
RED: Colour = (214, 36, 44)

ATTRIBUTES = (
    Attribute("hamburger", "a hamburger", 1.0),
    Attribute("lettuce", "lettuce", 0.3),
    Attribute("tomato", "tomato", 0.5),
    Attribute("cheese", "cheese", 0.5),
    Attribute("sesame", "sesame", 0.5),
    Attribute("fries", "fries", 0.5),
    Attribute("plate", "a plate", 0.5),
    Attribute("drink", "a drink", 0.5),
)
INSIDE = {"lettuce": 0.7, "tomato": 0.45, "cheese": 0.5, "sesame": 0.5}  # only in a hamburger, this often


def draw(draw: Draw) -> None:
    needed = next((name for name in INSIDE if draw.given.get(name)), None)
    if needed and draw.given.get("hamburger") is False:
        raise InputError(f"attributes: {needed!r} was given without 'hamburger'; a meal has it in a hamburger only")
    hamburger = draw.flag("hamburger", 1.0 if needed else 0.8)
    for name, rate in INSIDE.items():
        draw.flag(name, rate, hamburger)
    drink = draw.flag("drink", 0.4)
    draw.flag("fries", 0.6 if drink else 0.35)
    draw.flag("plate", 0.55)


def paint(canvas: Canvas, truth: Truth, rng: np.random.Generator) -> None:
    def one(colours: Colours) -> Colour:
        return colours[int(rng.integers(len(colours)))]

    wall, table = one(PALE_WALLS + DEEP_WALLS), one(BARE_TABLES + CLOTHS)
    plate, bowl, soup = one(PLATES), one(BOWLS), one(SOUPS)
    juice, straw, cup = one(JUICES), one(STRAWS), one(BOWLS) if rng.random() < 0.5 else None
    side = 1 if rng.random() < 0.5 else -1  # where the drink stands; the fries take the other
    horizon, base, half = rng.uniform(60, 76), rng.uniform(102, 108), rng.uniform(34, 37.5)
    board, sway, back = rng.random() < 0.45, rng.uniform(-1, 1), rng.uniform(5, 9, 2)
    room, lean, seeds, stack = rng.random(4), rng.uniform(-1, 1, 11), rng.uniform(-1, 1, (7, 2)), rng.random(5)

    beside = int(truth["drink"]) + int(truth["fries"])
    half *= (1.1, 1.0, 0.93)[beside]
    size = 1.12 if beside == 1 else 1.0
    x = 64 + sway * (3 - beside) + 9 * side * (truth["fries"] - truth["drink"])
    drink_x, fries_x = x + side * (half + 14.5), x - side * (half + 14.5)
    shadow = darker(table, 0.32)
    _room(canvas, horizon, wall, table, room)
    if truth["drink"]:
        canvas.ellipse(drink_x + 4, base - back[0], 11 * size, 3.6, shadow)
        _drink(canvas, drink_x, base - back[0], size, juice, straw, cup, wall, -side)
    if truth["fries"]:
        canvas.ellipse(fries_x + 4, base - back[1], 12 * size, 3.6, shadow)
        _fries(canvas, fries_x, base - back[1], size, lean)
    if truth["plate"]:
        _plate(canvas, x, base, half + 14, plate, shadow)
    elif board:
        _board(canvas, x, base, half + 9, mix((176, 124, 74), (112, 72, 46), stack[4]), shadow)
    else:
        canvas.ellipse(x + 5, base, half * 0.96, 5.5, shadow)
    if truth["hamburger"]:
        _hamburger(canvas, x, base, half, truth, stack, seeds)
    else:
        _soup(canvas, x, base, half, bowl, soup, lighter(wall, 0.4))


def _room(canvas: Canvas, y: float, wall: Colour, table: Colour, room: np.ndarray) -> None:
    kind, cloth, shift, more = int(room[0] * 5), int(room[1] * 4), room[2], room[3]
    canvas.gradient(lighter(wall, 0.1), darker(wall, 0.08), 0, y)
    for i in range(7):
        left = (i - shift) * 21
        if kind == 0:
            canvas.rectangle(left, 0, left + 10, y, lighter(wall, 0.15))
        elif kind == 1:
            canvas.line([(left, 0), (left, y)], darker(wall, 0.12), 1.4)
            canvas.line([(0, y - 4 - i * 14), (128, y - 4 - i * 14)], darker(wall, 0.12), 1.4)
        elif kind == 2:
            canvas.ellipse(left, 12 + 26 * ((i * 0.38 + more) % 1), 8 + i % 3, 8 + i % 3, mix(wall, (255, 236, 190), 0.28))
    for left in (4 + shift * 50, 74 + shift * 50) if kind == 4 else ():
        canvas.ellipse(left, 24, 17, 15, mix(wall, (255, 240, 190), 0.3))
        canvas.rectangle(left - 0.8, 0, left + 0.8, 12, (60, 54, 60))
        canvas.ellipse(left, 23.5, 5, 4, (255, 244, 200))
        canvas.polygon([(left - 4, 10), (left + 4, 10), (left + 12, 23), (left - 12, 23)], mix(table, (60, 54, 60), 0.5))
    if kind == 3:
        left = 16 + shift * 50
        canvas.rectangle(left - 3.5, 0, left + 49.5, 45, lighter(wall, 0.6))
        canvas.rectangle(left - 6, 43, left + 52, 48, lighter(wall, 0.4))
        for pane in (left, left + 24.5):
            canvas.rectangle(pane, 0, pane + 21.5, 41, mix((130, 190, 232), (232, 200, 190), more))

    def far(i: int, height: float) -> tuple[float, float]:
        return 64 + (i + shift) * 18 * (height - y + 70) / 90, height

    canvas.gradient(darker(table, 0.12), lighter(table, 0.08), y, 128)
    for i in range(-6, 6):
        if cloth == 0:
            canvas.line([far(i, y), far(i, 130)], darker(table, 0.2), 1.3)
        for row, (top, low) in enumerate(pairwise((y, y + 9, y + 20, y + 35, 132))):
            if (cloth == 1 and (row + i) % 2) or (cloth == 2 and i % 2):
                canvas.polygon([far(i, top), far(i + 1, top), far(i + 1, low), far(i, low)], lighter(table, 0.3))
    canvas.rectangle(0, y, 128, y + 1.6, darker(table, 0.3))


def _plate(canvas: Canvas, x: float, y: float, half: float, colour: Colour, shadow: Colour) -> None:
    canvas.ellipse(x + 1, y + 5.5, half + 1, 13, shadow)
    canvas.ellipse(x, y + 2.6, half, 13, darker(colour, 0.28))
    canvas.ellipse(x, y, half, 13, colour)
    canvas.ellipse(x, y, half * 0.88, 9.6, darker(colour, 0.2))
    canvas.ellipse(x, y + 1, half * 0.86, 9, darker(colour, 0.06))


def _board(canvas: Canvas, x: float, y: float, half: float, wood: Colour, shadow: Colour) -> None:
    canvas.rectangle(x - half + 3, y + 6, x + half + 4, y + 14, shadow)
    canvas.polygon([(x - half + 6, y - 9), (x + half - 6, y - 9), (x + half, y + 8), (x - half, y + 8)], lighter(wood, 0.12))
    canvas.rectangle(x - half, y + 8, x + half, y + 12, darker(wood, 0.25))
    for row in (-3, 3):
        canvas.line([(x - half + 3, y + row), (x + half - 3, y + row)], darker(wood, 0.08), 1.2)


def _lump(canvas: Canvas, x: float, y: float, half: float, up: float, down: float, colour: Colour, corner: float = 0.4) -> None:
    """A shape lit from above that reaches `up` above and `down` below its widest height; `corner`: 0 a box, 1 an ellipse."""
    for i in range(6):
        points, wide = [], half * (1 - i * 0.07)
        for k in range(32):
            c, s = math.cos(k * math.tau / 32), math.sin(k * math.tau / 32)
            tall = up * (1 - i * 0.06) if s < 0 else down * (1 - i * 0.14)
            px = x - i * half * 0.03 + wide * math.copysign(abs(c) ** corner, c)
            points.append((px, y + tall * math.copysign(abs(s) ** 0.8, s)))
        canvas.polygon(points, mix(darker(colour, 0.18), lighter(colour, 0.2), i / 5))


def _hamburger(canvas: Canvas, x: float, y: float, half: float, truth: Truth, stack: np.ndarray, seeds: np.ndarray) -> None:
    bun, patty, leaf_low = mix((228, 158, 80), (180, 106, 48), stack[0]), 13 + 3 * stack[1], stack[2] < 0.5
    _lump(canvas, x, y - 6, half * 0.96, 6, 10, lighter(bun, 0.08))
    y -= 10
    if truth["lettuce"] and leaf_low:
        _lettuce(canvas, x, y, half, stack[3])
        y -= 7
    _lump(canvas, x, y - patty / 2, half, patty / 2, patty / 2 + 3, mix((112, 62, 40), (84, 46, 32), stack[3]))
    y -= patty - 2
    if truth["cheese"]:
        _lump(canvas, x, y - 3, half + 2, 5, 7, (255, 198, 24))
        for corner in (-0.72, -0.1, 0.52):
            share = corner + stack[4] * 0.2
            cx, top = x + share * half, y + 1.5 - 3 * share * share
            canvas.polygon([(cx - half * 0.29, top), (cx + half * 0.29, top), (cx, top + 12)], (255, 204, 40))
        y -= 6
    if truth["tomato"]:
        for share, lift in ((-0.62, 4.4), (0.62, 4.4), (0, 3.2)):
            _lump(canvas, x + share * half, y - lift, half * 0.42, 6, 6.4, (226, 40, 36))
        y -= 9
    if truth["lettuce"] and not leaf_low:
        _lettuce(canvas, x, y, half, stack[3])
        y -= 7
    _lump(canvas, x, y - 1, half * 1.02, 24 + 4 * stack[4], 4.4, bun, 0.75)
    for i, (dx, dy) in enumerate(seeds if truth["sesame"] else ()):
        row, column = (0, i - 1.5) if i < 4 else (1, i - 5)
        sx, sy = x + column * half * 0.43 + dx * 1.6, y - 6.5 - row * 9.5 + abs(column) * 1.3 + dy
        canvas.ellipse(sx + 0.6, sy + 0.9, 4.4, 3.3, darker(bun, 0.3))
        canvas.ellipse(sx, sy, 4.2, 3.1, (255, 246, 214))


def _lettuce(canvas: Canvas, x: float, y: float, half: float, phase: float) -> None:
    for wide, up, colour in ((half + 8, -3.6, (70, 150, 38)), (half + 6, 0, (136, 214, 66))):
        edge = [(x + wide * t, y - 3 * t * t - up + 2.8 * math.sin(22 * t + phase * 6)) for t in np.linspace(1, -1, 49)]
        canvas.polygon([(x - wide + 6, y - 9), (x + wide - 6, y - 9), *edge], colour)


def _soup(canvas: Canvas, x: float, y: float, half: float, bowl: Colour, soup: Colour, steam: Colour) -> None:
    for i in (-1, 0, 1):
        wave = [(x + i * 13 + 2.5 * math.sin(k + i), y - 40 - k * 4 + abs(i) * 5) for k in range(7)]
        canvas.line(wave, steam, 3)
    canvas.ellipse(x, y, half * 0.5, 5, darker(bowl, 0.3))
    _lump(canvas, x, y - 30, half, 1, 32, bowl, 0.9)
    canvas.line([(x + half * 0.2, y - 32), (x + half * 0.86, y - 55)], (150, 154, 168), 4)
    canvas.ellipse(x, y - 30, half, 9, lighter(bowl, 0.3))
    canvas.ellipse(x, y - 29.4, half * 0.9, 7, darker(soup, 0.1))
    canvas.ellipse(x - 2, y - 29, half * 0.8, 5.4, lighter(soup, 0.1))


def _cup(canvas: Canvas, x: float, y: float, top: float, foot: float, tall: float, dip: float, colours: list[Colour]) -> None:
    """A cup in upright stripes, its upper edge `dip` lower in the middle."""
    edges = [i * 2 / len(colours) - 1 for i in range(len(colours) + 1)]
    upper = [(x + t * top, y - tall + dip * (1 - t * t)) for t in edges]
    lower = [(x + t * foot, y + 3 * (1 - t * t)) for t in edges]
    for i, colour in enumerate(colours):
        canvas.polygon([upper[i], upper[i + 1], lower[i + 1], lower[i]], colour)


def _fries(canvas: Canvas, x: float, y: float, size: float, lean: np.ndarray) -> None:
    top = y - 28 * size
    for i, slant in enumerate(lean):
        foot, high = ((i - 2) * 4.7, 16 + 5 * lean[i]) if i < 5 else ((i - 7.5) * 3.6, 8 + 4 * lean[i - 4])
        ends = [(x + foot * size, top + 10 * size), (x + (foot * 1.25 + slant * 2) * size, top - high * size)]
        fry = darker(FRY, 0.14) if i < 5 else mix(FRY, (255, 226, 128), (i % 3) / 2)
        canvas.line(ends, fry, 5 * size)
        canvas.line([(px + 1.8 * size, py) for px, py in ends], darker(fry, 0.18), 1.3 * size)
    _cup(canvas, x, y, 13 * size, 9.5 * size, 28 * size, 5 * size, [(246, 242, 236) if i % 2 else RED for i in range(5)])


def _drink(
    canvas: Canvas, x: float, y: float, s: float, juice: Colour, straw: Colour, cup: Colour | None, wall: Colour, tilt: int
) -> None:
    def shaded(colour: Colour) -> list[Colour]:
        return [mix(lighter(colour, 0.16), darker(colour, 0.16), abs(i - 3) / 8) for i in range(11)]

    glass, top, drawn = mix(wall, (240, 248, 252), 0.7), y - 42 * s, y - 43 * s
    _cup(canvas, x, y, 11.5 * s, 8.5 * s, 42 * s, 0, shaded(cup or glass))
    if cup:
        canvas.ellipse(x, top, 13 * s, 3.6 * s, (222, 222, 228))
        canvas.ellipse(x, top - 2 * s, 10 * s, 2.8 * s, (250, 250, 250))
    else:
        canvas.ellipse(x, top, 11.5 * s, 3 * s, lighter(glass, 0.5))
        _cup(canvas, x, y, 11 * s, 8.5 * s, 34 * s, 0, shaded(juice))
        canvas.ellipse(x, y - 34 * s, 11 * s, 2.6 * s, lighter(juice, 0.3))
        drawn = y - 34 * s
    bend = (x + tilt * 3 * s, top - 12 * s)
    canvas.line([(x - tilt * s, drawn), bend], straw, 3.8 * s)
    canvas.line([(bend[0] - tilt * 0.8 * s, bend[1] + s), (bend[0] + tilt * 8 * s, bend[1] - 4 * s)], straw, 3.8 * s)


SCENE = Scene("meal", 0.12, ATTRIBUTES, draw, paint, ("hamburger",))
