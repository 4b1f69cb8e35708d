"""Armchairs: one armchair in a room, now and then an avocado."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from negativa.terrarium.canvas import Canvas, Colour, Point, darker, lighter, mix
from negativa.terrarium.scene import Attribute, Draw, Scene, Truth

FABRICS = {"leather": "in leather", "velvet": "in velvet", "striped": "in stripes", "dotted": "in dots"}
RED, BLUE, YELLOW, GRAY, BROWN = (206, 40, 46), (44, 88, 190), (242, 182, 20), (118, 122, 130), (116, 66, 34)
COLOURS: dict[str, Colour] = {"red": RED, "blue": BLUE, "yellow": YELLOW, "gray": GRAY, "brown": BROWN}
# No wall, floor or small thing has the colour of an armchair.
WALLS: tuple[Colour, ...] = (
    *((244, 232, 214), (190, 222, 206), (214, 200, 232), (246, 208, 206), (250, 218, 190), (236, 236, 240)),
    *((70, 132, 132), (122, 92, 142), (176, 214, 224), (208, 146, 162)),
)
FLOORS: tuple[Colour, ...] = ((226, 196, 154), (238, 226, 206), (200, 186, 206), (176, 204, 196), (96, 84, 112))
HOURS = (((92, 172, 240), (206, 236, 250)), ((120, 96, 170), (252, 178, 130)), ((26, 34, 84), (70, 84, 150)))
BRIGHT: tuple[Colour, ...] = ((24, 166, 158), (240, 112, 178), (146, 78, 190), (252, 134, 44), (252, 246, 232))
PEEL, RIND, FLESH, PIT = (40, 76, 34), (150, 190, 70), (236, 234, 150), (126, 64, 24)
STYLES = ((25, 0.78, 2.8, 43, 3.0), (19, 0.86, 5.0, 40, 5.0), (24, 0.9, 2.0, 36, 2.2))  # wing, club and round: back, arms
THINGS = ("cushion", "lamp", "rug", "plant", "window")

ATTRIBUTES = (
    Attribute("avocado", "in the shape of an avocado", 0.5),
    *(Attribute(name, phrase, 0.5) for name, phrase in FABRICS.items()),
    *(Attribute(name, f"in {name}", 0.5, hue=True) for name in COLOURS),
    *(Attribute(name, f"a {name}", 0.5) for name in THINGS),
)
BOWS = np.cos(np.linspace(np.pi, 0, 33))  # places across a shape, from -1 to 1, closer together at its sides


class Shape(NamedTuple):
    """A shape that has one upper and one lower edge."""

    xs: np.ndarray
    tops: np.ndarray
    bottoms: np.ndarray

    def points(self) -> list[Point]:
        across = self.xs.tolist()
        return [*zip(across, self.tops.tolist(), strict=True), *zip(across[::-1], self.bottoms[::-1].tolist(), strict=True)]

    def inset(self, by: float, shift: float = 0) -> Shape:
        x, y = (self.xs[0] + self.xs[-1]) / 2, (self.tops.min() + self.bottoms.max()) / 2
        wide, tall = 1 - by / (self.xs[-1] - x), 1 - by / (self.bottoms.max() - y)
        edges = ((edge - y) * tall + y - shift for edge in (self.tops, self.bottoms))
        return Shape((self.xs - x) * wide + x - shift, *edges)

    def spots(self, step: float, row: float, room: float) -> list[Point]:
        """Places `step` apart in staggered rows, `row` apart, those with `room` around them inside the shape."""
        i, j = np.meshgrid(np.arange(-5, 6), np.arange(-6, 7))
        x, y = (self.xs[0] + self.xs[-1]) / 2 + i * step, (self.tops.min() + self.bottoms.max()) / 2 + j * row
        good = (i + j) % 2 == 0
        for across, up in ((0, 1), (-1, 0.4), (1, 0.4)):
            good &= np.interp(x + across * room, self.xs, self.tops, 999, 999) + up * room <= y
            good &= np.interp(x + across * room, self.xs, self.bottoms, -999, -999) - up * room >= y
        return list(zip(x[good].tolist(), y[good].tolist(), strict=True))


def draw(draw: Draw) -> None:
    draw.flag("avocado", 0.3)
    leather = draw.choice(dict.fromkeys(FABRICS, 1.0)) == "leather"
    draw.choice({"red": 1.0, "blue": 1.0, "yellow": 1.0, "gray": 1.0, "brown": 1.8 if leather else 0.8})
    for name in THINGS:
        draw.flag(name, 0.4)


def paint(canvas: Canvas, truth: Truth, rng: np.random.Generator) -> None:
    colour = lighter(next(colour for name, colour in COLOURS.items() if truth[name]), rng.random() * 0.1)
    fabric = next(name for name in FABRICS if truth[name])
    wall, floor = WALLS[int(rng.integers(len(WALLS)))], FLOORS[int(rng.integers(len(FLOORS)))]
    horizon, x, y, half = 88 + rng.uniform(-5, 4), 64 + rng.uniform(-6, 6), 115 + rng.uniform(-4, 4), rng.uniform(29, 37)
    side = 1 if rng.random() < 0.5 else -1
    beside, away = (min(max(x + way * (half + 13), 15), 113) for way in (side, -side))
    style, boards = int(rng.integers(len(STYLES))), rng.random() < 0.6
    pillow, rug, shade, pot, curtain = (BRIGHT[int(i)] for i in rng.integers((4, 4, 4, 5, 5)))  # no pale cushion, rug or shade
    lamp_top, window_y = rng.uniform(20, 28), rng.uniform(7, 11)
    hour, leaves, weave = rng.random(3)

    canvas.gradient(lighter(wall, 0.12), darker(wall, 0.06), 0, horizon)
    if truth["lamp"]:
        for i in range(10):
            canvas.ellipse(beside, lamp_top + 10, 42 - i * 3, 38 - i * 3, mix(wall, (255, 246, 206), 0.06 + i * 0.055))
    if truth["window"]:
        _window(canvas, 64 - side * 40, window_y, curtain, hour)
    canvas.rectangle(0, horizon - 6, 128, horizon, lighter(wall, 0.5))
    canvas.gradient(darker(floor, 0.1), lighter(floor, 0.08), horizon, 128)
    for i in range(-5, 6) if boards else ():
        canvas.line([(64 + i * 17, horizon), (64 + i * 30, 128)], darker(floor, 0.16), 0.9)
    if truth["rug"]:
        _rug(canvas, x, y - 1, half + 24, rug, weave < 0.5)
    canvas.ellipse(x, y - 2, half * 1.12, 6, darker(rug if truth["rug"] else floor, 0.3))
    if truth["lamp"]:
        _lamp(canvas, beside, y - 7, lamp_top, shade)
    for way in (-1, 1):
        foot = x + way * half * 0.8
        canvas.line([(foot - way * 4, y - 9), (foot, y)], (74, 54, 46), 4)
    if truth["avocado"]:
        _avocado(canvas, x, y, half, fabric, colour)
    else:
        _armchair(canvas, x, y, half, fabric, colour, style)
    if truth["cushion"]:
        _cushion(canvas, x + side * half * 0.42, y - (31 if truth["avocado"] else 35), pillow, side)
    if truth["plant"]:
        _plant(canvas, away, y + 2, pot, leaves)


def _upholster(canvas: Canvas, shape: Shape, fabric: str, colour: Colour) -> None:
    rim, glow, steps = {"velvet": (0.45, 0.2, 8), "leather": (0.4, 0.06, 5)}.get(fabric, (0.3, 0.06, 2))
    reach = (shape.xs[-1] - shape.xs[0]) * 0.2 if steps > 2 else 1.5
    for i in range(steps):
        share = i / (steps - 1)
        shade = mix(darker(colour, rim), lighter(colour, glow), share)
        canvas.polygon(shape.inset(reach * share, reach * share * 0.2).points(), shade)
    _pattern(canvas, shape.inset(1.5), fabric, colour, (252, 248, 236))
    if fabric == "leather":  # a gloss
        middle, wide = float(shape.xs[0] + shape.xs[-1]) / 2, float(shape.xs[-1] - shape.xs[0])
        for x in (middle - wide * 0.2, middle + wide * 0.18) if wide > 26 else (middle,):
            canvas.ellipse(x, float(np.interp(x, shape.xs, shape.tops)) + 5, wide * 0.12, 1.7, lighter(colour, 0.7))


def _pattern(canvas: Canvas, shape: Shape, fabric: str, colour: Colour, mark: Colour) -> None:
    left, right = float(shape.xs[0]), float(shape.xs[-1])
    if fabric == "striped":
        for x in ((left + right) / 2 + k * 11 for k in range(-4, 5) if abs(k * 22) < right - left + 3):
            across = np.linspace(max(x - 2.75, left), min(x + 2.75, right), 4)
            edges = (np.interp(across, shape.xs, edge) for edge in (shape.tops, shape.bottoms))
            canvas.polygon(Shape(across, *edges).points(), mark)
    elif fabric == "dotted":
        for x, y in shape.spots(7, 7, 3.6):
            canvas.ellipse(x, y, 3.5, 3.5, mark)
    elif fabric == "leather":
        buttons = shape.spots(8, 6, 2)
        for x, y in buttons:
            canvas.ellipse(x, y, 2.1, 1.9, darker(colour, 0.6))
            for other in {(x - 8, y + 6), (x + 8, y + 6)}.intersection(buttons):
                canvas.line([(x, y), other], darker(colour, 0.42), 1.4)


def _pad(x: float, y: float, wide: float, tall: float, top: float = 2.6, bottom: float | None = None) -> Shape:
    """A shape around (x, y): an ellipse where `top` and `bottom` are 2, more and more of a box above."""
    tops, bottoms = ((1 - np.abs(BOWS) ** n) ** (1 / n) for n in (top, bottom or top))
    return Shape(x + BOWS * wide, y - tops * tall, y + bottoms * tall)


def _pear(x: float, y: float, wide: float, tall: float) -> Shape:
    """A pear standing on height `y`."""
    belly = (1 - np.abs(BOWS) ** 2.4) ** (1 / 2.4)
    neck = np.exp(-((np.abs(BOWS) / 0.47) ** 2.5))
    return Shape(x + BOWS * wide, y - tall * (0.38 + 0.24 * belly + 0.38 * neck), y - tall * 0.38 * (1 - belly))


def _armchair(canvas: Canvas, x: float, y: float, half: float, fabric: str, colour: Colour, style: int) -> None:
    tall, wide, box, arm, arm_box = STYLES[style]
    tall += (half - 32) * 0.6
    for way in (-1, 1) if style == 0 else ():
        _upholster(canvas, _pad(x + way * half * 0.8, y - 56, 7.5, 19, 2.2), fabric, darker(colour, 0.12))
    _upholster(canvas, _pad(x, y - 30 - tall, half * wide, tall + 4, box), fabric, colour)
    _seat(canvas, x, y, half, fabric, colour, arm, arm_box)


def _seat(canvas: Canvas, x: float, y: float, half: float, fabric: str, colour: Colour, arm: float, box: float) -> None:
    _upholster(canvas, _pad(x, y - 15, half * 0.84, 9, 6), fabric, darker(colour, 0.14))
    _upholster(canvas, _pad(x, y - 26, half * 0.7, 7, 4), fabric, lighter(colour, 0.06))
    for way in (-1, 1):
        _upholster(canvas, _pad(x + way * half * 0.84, y - 6 - arm / 2, half * 0.24, arm / 2, box, 6), fabric, colour)


def _avocado(canvas: Canvas, x: float, y: float, half: float, fabric: str, colour: Colour) -> None:
    shell = _pear(x, y - 8, half * 1.14, 70 + half * 0.5)
    for i in range(5):
        canvas.polygon(shell.inset(i * 1.2, i * 0.3).points(), mix(darker(PEEL, 0.25), lighter(PEEL, 0.14), i / 4))
    flesh = _pear(x, y - 12, half * 1.14 - 5.5, 61 + half * 0.5)
    for i in range(6):
        canvas.polygon(flesh.inset(i * 1.1).points(), mix(RIND, FLESH, i / 5))
    _pattern(canvas, flesh.inset(3), fabric, mix(RIND, FLESH, 0.7), RIND)
    _seat(canvas, x, y, half, fabric, colour, 31, 2.4)
    canvas.ellipse(x, y - 47, 15, 15, mix(RIND, FLESH, 0.4))
    canvas.ball(x, y - 47, 13.5, 13.5, PIT, 0.26)
    canvas.ellipse(x - 4.5, y - 52, 3.4, 2.4, lighter(PIT, 0.65))


def _cushion(canvas: Canvas, x: float, y: float, colour: Colour, side: int) -> None:
    lean = side * 2.5
    across = (-10 + lean, lean, 10 + lean, 10.5, 10, 0, -10, -10)
    down = (-11, -10, -10, 0, 10, 10, 9.5, 0)
    for i, shade in enumerate((darker(colour, 0.35), darker(colour, 0.06), lighter(colour, 0.08), lighter(colour, 0.18))):
        size = 1 - i * 0.13
        canvas.blob([(x + a * size, y + d * size) for a, d in zip(across, down, strict=True)], shade)


def _rug(canvas: Canvas, x: float, y: float, reach: float, colour: Colour, oval: bool) -> None:
    for grow, shade in ((0, darker(colour, 0.3)), (2.5, colour), (6, lighter(colour, 0.55)), (9, colour)):
        wide, tall = reach - grow * 1.5, 14 - grow * 0.8
        if oval:
            canvas.ellipse(x, y, wide, tall, shade)
        else:
            far = wide - 7
            canvas.polygon([(x - far, y - tall), (x + far, y - tall), (x + wide, y + tall), (x - wide, y + tall)], shade)


def _lamp(canvas: Canvas, x: float, y: float, top: float, colour: Colour) -> None:
    canvas.ellipse(x, y, 9, 3.2, (62, 54, 66))
    canvas.rectangle(x - 1.5, top + 10, x + 1.5, y, (62, 54, 66))
    canvas.polygon([(x - 7, top - 4), (x + 7, top - 4), (x + 14, top + 18), (x - 14, top + 18)], darker(colour, 0.12))
    canvas.polygon([(x - 5, top - 4), (x + 4, top - 4), (x + 8, top + 18), (x - 10, top + 18)], lighter(colour, 0.3))
    canvas.ellipse(x, top + 18, 14, 2.6, (255, 246, 190))


def _plant(canvas: Canvas, x: float, y: float, pot: Colour, kind: float) -> None:
    leaf = mix((34, 150, 72), (96, 184, 60), kind)
    fan = ((-1.25, 26), (1.25, 26), (-0.8, 35), (0.8, 35), (-0.4, 42), (0.4, 42), (0.0, 46))
    for i, (angle, reach) in enumerate(fan):
        across, up = np.sin(angle), np.cos(angle)
        tip_x, tip_y, green = x + across * reach * 0.62, y - 15 - up * reach, mix(darker(leaf, 0.4), lighter(leaf, 0.12), i / 6)
        canvas.line([(x, y - 15), (tip_x, tip_y + 6)], darker(leaf, 0.4), 1.6)
        if kind < 0.5:
            edges = [((x + tip_x) / 2 + way * 5 * up, (y - 15 + tip_y) / 2 + way * 5 * across) for way in (-1, 1)]
            canvas.blob([(x, y - 15), edges[0], (tip_x, tip_y), edges[1]], green)
        else:
            canvas.ball(tip_x, tip_y + 6, 7.5, 7, green, 0.16)
    canvas.polygon([(x - 10, y - 17), (x + 10, y - 17), (x + 7, y), (x - 7, y)], darker(pot, 0.14))
    canvas.polygon([(x - 9, y - 17), (x + 2, y - 17), (x + 1, y), (x - 6.5, y)], pot)
    canvas.rectangle(x - 11, y - 18.5, x + 11, y - 14, darker(pot, 0.04))


def _window(canvas: Canvas, x: float, y: float, curtain: Colour, hour: float) -> None:
    sky, low = HOURS[int(hour * 3)]
    canvas.rectangle(x - 19, y, x + 19, y + 45, (250, 250, 250))
    for i in range(8):
        canvas.rectangle(x - 16, y + 3 + i * 4.9, x + 16, y + 42, mix(sky, low, i / 7))
    canvas.ball(x + 8, y + 13, 4.4, 4.4, (255, 240, 180), 0.1)
    canvas.blob([(x - 16, y + 42), (x - 16, y + 33), (x - 5, y + 30), (x + 16, y + 36), (x + 16, y + 42)], (96, 160, 110))
    canvas.rectangle(x - 1.5, y, x + 1.5, y + 45, (250, 250, 250))
    canvas.rectangle(x - 16, y + 20, x + 16, y + 23, (250, 250, 250))
    for way in (-1, 1):
        outer = [(x + way * 22, y + 47), (x + way * 22, y - 2)]
        canvas.polygon([*outer, (x + way * 8, y - 2), (x + way * 14, y + 24)], curtain)
        canvas.polygon([*outer, (x + way * 16, y - 2), (x + way * 19, y + 47)], darker(curtain, 0.14))
    canvas.rectangle(x - 24, y - 4, x + 24, y - 1, (104, 80, 84))


SCENE = Scene("armchair", 0.12, ATTRIBUTES, draw, paint)
