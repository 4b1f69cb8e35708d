"""Houses: one house from the street, in its season and its hour."""

from __future__ import annotations

import numpy as np

from negativa.errors import InputError
from negativa.terrarium.canvas import Canvas, Colour, any_colour, darker, lighter, mix
from negativa.terrarium.scene import Attribute, Draw, Scene, Truth

SKY: dict[str, tuple[Colour, Colour]] = {
    "day": ((122, 182, 232), (206, 230, 244)),
    "dusk": ((116, 92, 150), (244, 168, 116)),
    "night": ((22, 28, 62), (58, 66, 110)),
}
WALLS: tuple[Colour, ...] = ((238, 226, 198), (214, 150, 120), (176, 196, 206), (226, 190, 120), (206, 214, 186))
ROOFS: tuple[Colour, ...] = ((150, 66, 54), (92, 78, 82), (112, 84, 58), (84, 98, 120))
GRASS: Colour = (104, 164, 76)
SNOW: Colour = (236, 240, 248)
EARTH: Colour = (184, 160, 128)

ATTRIBUTES = (
    Attribute("lawn", "a lawn", 0.3),
    Attribute("snow", "in the snow", 0.5),
    Attribute("tree", "a tree", 0.5),
    Attribute("fence", "a fence", 0.5),
    Attribute("smoke", "smoke", 0.5),
    Attribute("flowers", "flowers", 0.5),
    Attribute("car", "a car", 0.5),
    Attribute("extra wheel", "an extra wheel", 0.4),
    Attribute("day", "by day", 0.25),
    Attribute("dusk", "at dusk", 0.5),
    Attribute("night", "at night", 0.5),
)


def draw(draw: Draw) -> None:
    if draw.given.get("lawn") and draw.given.get("snow"):
        raise InputError("attributes: 'lawn' and 'snow' were given; a house has one of them, or bare ground")
    time = draw.choice({"day": 0.55, "dusk": 0.2, "night": 0.25})
    lawn = draw.flag("lawn", 0.72 if time == "day" else 0.45, draw.given.get("snow") is not True)
    draw.flag("snow", 0.45 if time == "day" else 0.7, not lawn)
    draw.flag("tree", 0.5)
    draw.flag("fence", 0.35)
    draw.flag("smoke", 0.35)
    draw.flag("flowers", 0.45, lawn)
    car = draw.flag("car", 1 if draw.asked_with("extra wheel", "car") else 0.35)
    draw.flag("extra wheel", 0.1, car)


def paint(canvas: Canvas, truth: Truth, rng: np.random.Generator) -> None:
    time = next(name for name in SKY if truth[name])
    shade = {"day": 0.0, "dusk": 0.2, "night": 0.48}[time]
    tint = {"day": (255, 255, 255), "dusk": (120, 70, 90), "night": (16, 20, 56)}[time]

    def lit(colour: Colour) -> Colour:
        return mix(colour, tint, shade)

    horizon = 84 + rng.uniform(-3, 3)
    x = 62 + rng.uniform(-7, 7)
    half, height = rng.uniform(27, 33), rng.uniform(34, 40)
    floor = horizon + 10
    wall, roof = WALLS[int(rng.integers(len(WALLS)))], ROOFS[int(rng.integers(len(ROOFS)))]
    tree_side = 1 if rng.random() < 0.5 else -1
    leaf = mix((70, 130, 62), (120, 150, 60), rng.random())
    paintwork = any_colour(rng, 70, 220)
    petals = ((232, 80, 96), (246, 206, 70), (206, 110, 200))[int(rng.integers(3))]
    sun_x = rng.uniform(16, 112)
    hill = rng.uniform(8, 16)

    canvas.gradient(*SKY[time], 0, horizon + 2)
    if time == "night":
        canvas.ball(sun_x, 17, 7, 7, (240, 236, 206), 0.1)
    elif time == "day":
        canvas.ball(sun_x, 17, 8, 8, (255, 236, 150), 0.1)
    ground = SNOW if truth["snow"] else GRASS if truth["lawn"] else EARTH
    canvas.ellipse(30, horizon + 4, 60, hill, lit(darker(ground, 0.12)))
    canvas.ellipse(108, horizon + 4, 50, hill * 0.8, lit(darker(ground, 0.16)))
    canvas.gradient(lit(darker(ground, 0.04)), lit(darker(ground, 0.16)), horizon, 128)
    if truth["tree"]:
        _tree(canvas, 64 + tree_side * 50, floor + 3, lit(leaf), lit((96, 70, 48)), lit(SNOW) if truth["snow"] else None)
    _house(canvas, x, floor, half, height, lit(wall), lit(roof), lit(SNOW) if truth["snow"] else None, time)
    if truth["smoke"]:
        smoke = mix((232, 232, 236), SKY[time][0], 0.25)
        for i in range(4):
            canvas.ellipse(x + half * 0.5 + i * 3.6, floor - height - 25 - i * 7, 3.4 + i * 1.3, 3.2 + i * 1.1, smoke)
    canvas.polygon([(x - 5, floor), (x + 5, floor), (x + 15, 128), (x - 13, 128)], lit(lighter(EARTH, 0.2)))
    if truth["flowers"]:
        for i in range(9):
            fx = 8 + i * 14 + rng.uniform(-3, 3)
            if abs(fx - x) > 14:
                canvas.ball(fx, 113 + (i % 2) * 5, 4.2, 4.2, mix(petals, tint, shade * 0.5), 0.2)
    if truth["fence"]:
        _fence(canvas, floor + 8, x, lit((244, 238, 226)))
    if truth["car"]:
        _car(canvas, x - tree_side * 32, floor + 18, mix(paintwork, tint, shade * 0.5), time, truth["extra wheel"])


def _house(
    canvas: Canvas,
    x: float,
    floor: float,
    half: float,
    height: float,
    wall: Colour,
    roof: Colour,
    snow: Colour | None,
    time: str,
) -> None:
    top = floor - height
    canvas.rectangle(x + half * 0.5 - 5, top - 23, x + half * 0.5 + 4, top, darker(roof, 0.25))
    canvas.rectangle(x - half, top, x + half, floor, wall)
    canvas.rectangle(x + half * 0.55, top, x + half, floor, darker(wall, 0.07))
    canvas.polygon(
        [(x - half - 6, top + 1), (x - half * 0.55, top - 21), (x + half * 0.55, top - 21), (x + half + 6, top + 1)], roof
    )
    if snow:
        canvas.polygon(
            [(x - half - 4, top - 3), (x - half * 0.56, top - 22), (x + half * 0.56, top - 22), (x + half + 4, top - 3)], snow
        )
    canvas.rectangle(x - 5.5, floor - 19, x + 5.5, floor, darker(roof, 0.1))
    canvas.ellipse(x + 3, floor - 9, 1, 1, (240, 220, 140))
    glass = (255, 220, 120) if time == "night" else (250, 206, 140) if time == "dusk" else (150, 190, 214)
    for wx in (x - half * 0.6, x + half * 0.6):
        canvas.rectangle(wx - 6.5, top + 8, wx + 6.5, top + 22, lighter(wall, 0.5))
        canvas.rectangle(wx - 5, top + 9.5, wx + 5, top + 20.5, glass)
        canvas.rectangle(wx - 0.6, top + 9.5, wx + 0.6, top + 20.5, lighter(wall, 0.5))


def _tree(canvas: Canvas, x: float, base: float, leaf: Colour, trunk: Colour, snow: Colour | None) -> None:
    canvas.rectangle(x - 3, base - 26, x + 3, base, trunk)
    for dx, dy, r in ((-7, -34, 11), (7, -33, 11), (0, -44, 13)):
        canvas.ball(x + dx, base + dy, r, r, leaf, 0.2)
    if snow:
        for dx, dy, r in ((-8, -42, 6), (8, -41, 6), (0, -53, 7)):
            canvas.ellipse(x + dx, base + dy, r, r * 0.55, snow)


def _fence(canvas: Canvas, y: float, gap: float, wood: Colour) -> None:
    for left, right in ((0, gap - 13), (gap + 13, 128)):
        canvas.rectangle(left, y - 9, right, y - 7, darker(wood, 0.08))
        canvas.rectangle(left, y - 3.5, right, y - 1.5, darker(wood, 0.08))
    for i in range(13):
        px = 4 + i * 10
        if abs(px - gap) > 12:
            canvas.polygon([(px - 2.4, y + 1), (px - 2.4, y - 11), (px, y - 14), (px + 2.4, y - 11), (px + 2.4, y + 1)], wood)


def _car(canvas: Canvas, x: float, y: float, body: Colour, time: str, extra_wheel: bool) -> None:
    canvas.blob([(x - 11, y - 8), (x - 7, y - 15), (x + 6, y - 15), (x + 12, y - 8)], darker(body, 0.1))
    canvas.polygon([(x - 8, y - 8.6), (x - 5.4, y - 13.4), (x + 5, y - 13.4), (x + 8.6, y - 8.6)], (206, 226, 236))
    canvas.rectangle(x - 0.8, y - 13.4, x + 0.8, y - 8.6, darker(body, 0.1))
    canvas.blob([(x - 20, y - 1), (x - 19, y - 8), (x, y - 9.4), (x + 18, y - 8), (x + 20, y - 1), (x, y)], body)
    canvas.ellipse(x + 18, y - 5, 1.8, 1.6, (255, 240, 170) if time != "day" else (250, 246, 226))
    for wx in (x - 11, x, x + 11) if extra_wheel else (x - 11, x + 11):
        canvas.ellipse(wx, y, 4.6, 4.6, (34, 34, 38))
        canvas.ellipse(wx, y, 2, 2, (170, 170, 176))


SCENE = Scene("house", 0.15, ATTRIBUTES, draw, paint)
