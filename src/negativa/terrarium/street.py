"""Streets: a row of houses seen from across the road, with whoever and whatever is about."""

from __future__ import annotations

import numpy as np

from negativa.terrarium.canvas import Canvas, Colour, darker, lighter, mix
from negativa.terrarium.house import SKY
from negativa.terrarium.scene import Attribute, Draw, Scene, Truth

WALLS: tuple[Colour, ...] = (
    *((240, 222, 184), (226, 150, 118), (176, 96, 80), (150, 184, 208), (236, 190, 104)),
    *((230, 174, 178), (236, 232, 224), (172, 164, 196), (196, 168, 138), (124, 150, 176)),
)
ROOFS: tuple[Colour, ...] = ((158, 78, 60), (96, 84, 92), (120, 88, 66), (84, 96, 116))
TOWERS: dict[str, Colour] = {"day": (106, 134, 178), "dusk": (92, 66, 122), "night": (12, 14, 36)}
PAINTWORK: tuple[Colour, ...] = ((206, 54, 50), (46, 98, 176), (240, 186, 44), (238, 238, 234), (52, 140, 130), (150, 66, 120))
COATS: tuple[Colour, ...] = ((200, 44, 60), (36, 84, 160), (238, 176, 46), (240, 232, 216), (40, 126, 110), (150, 70, 150))
SKIN: tuple[Colour, ...] = ((244, 206, 178), (222, 172, 132), (150, 100, 70))
LIGHT: Colour = (255, 226, 134)
FLOOR, KERB, NEAR = 81.0, 86.0, 111.0  # where the houses stand, where the road begins, where the pavement on this side does

ATTRIBUTES = (
    Attribute("cars", "cars", 0.5),
    Attribute("extra wheel", "an extra wheel", 0.4),
    Attribute("people", "people", 0.5),
    Attribute("lamps", "lamps", 0.5),
    Attribute("trees", "trees", 0.5),
    Attribute("wet road", "a wet road", 0.5),
    Attribute("skyline", "a skyline", 0.5),
    Attribute("day", "by day", 0.25),
    Attribute("dusk", "at dusk", 0.5),
    Attribute("night", "at night", 0.5),
)


def draw(draw: Draw) -> None:
    time = draw.choice({"day": 0.55, "dusk": 0.2, "night": 0.25})
    wanted = draw.asked_with("extra wheel", "cars")
    cars = draw.flag("cars", 1 if wanted else {"day": 0.65, "dusk": 0.5, "night": 0.4}[time])
    draw.flag("extra wheel", 0.1, cars)
    draw.flag("wet road", {"day": 0.3, "dusk": 0.3, "night": 0.5}[time])
    draw.flag("people", 0.5)
    draw.flag("lamps", 0.45)
    draw.flag("trees", 0.45)
    draw.flag("skyline", 0.4)


def paint(canvas: Canvas, truth: Truth, rng: np.random.Generator) -> None:
    time = next(name for name in SKY if truth[name])
    shade = {"day": 0.0, "dusk": 0.2, "night": 0.46}[time]
    tint = {"day": (255, 255, 255), "dusk": (120, 70, 90), "night": (16, 20, 56)}[time]

    def lit(colour: Colour, share: float = 1) -> Colour:
        return mix(colour, tint, shade * share)

    sky, towers, houses = rng.random((9, 3)), rng.random((9, 4)), rng.random((7, 20))
    trees, cars, lamps, people, road = (rng.random(shape) for shape in ((4, 4), (3, 5), 4, (4, 7), (8, 3)))
    walls, paintwork, coats = (rng.permutation(len(table)) for table in (WALLS, PAINTWORK, COATS))

    canvas.gradient(*SKY[time], 0, FLOOR)
    _heavens(canvas, time, sky)
    if truth["skyline"]:
        _skyline(canvas, TOWERS[time], time, towers)
    left, row = -14 * houses[6, 0], list[tuple[float, float, Colour]]()
    for luck, wall in zip(houses, walls, strict=False):
        right = left + 22 + 14 * luck[1]
        row.append((left, right, lit(WALLS[wall])))
        roof = lit(ROOFS[int(luck[2] * len(ROOFS))])
        _facade(canvas, left, right, row[-1][2], roof, lit(COATS[int(luck[3] * len(COATS))]), time, luck[4:])
        left = right
    canvas.rectangle(0, FLOOR, 128, KERB, lit((196, 188, 178)))
    asphalt = lit((132, 130, 132))
    if truth["wet road"]:
        asphalt = {"day": (50, 58, 72), "dusk": (46, 40, 60), "night": (16, 18, 36)}[time]
    canvas.gradient(asphalt, lighter(asphalt, 0.05), KERB, NEAR)
    if truth["wet road"]:
        glint = lighter(SKY[time][1], 0.4) if time == "day" else (255, 208, 112)
        streaks = [(9 + i * 16 + 8 * x, 12.6 + i * 16 + 8 * x, glint) for i, x in enumerate(road[:, 0])]
        _reflections(canvas, row, asphalt, 13)
        _reflections(canvas, streaks, asphalt, 21)
    for i in range(5):
        canvas.rectangle(5 + i * 27, 97.6, 18 + i * 27, 99.4, lit((240, 236, 220), 0.7))
    if truth["wet road"]:
        _puddles(canvas, mix(SKY[time][1], (150, 170, 255), 0.5 * truth["night"]), road)
    canvas.rectangle(0, KERB - 0.7, 128, KERB + 0.7, lit((150, 144, 140)))
    if truth["trees"]:
        for i, luck in enumerate(trees[: 3 + int(lamps[3] * 2)]):
            leaf = lit(mix((62, 122, 58), (138, 162, 56), luck[1]))
            _tree(canvas, 12 + i * 34 + 14 * luck[0], KERB - 1.5, 8.5 + 2 * luck[2], leaf, lit((92, 66, 48)))
    if truth["cars"]:
        pair = [(30 + 64 * i, 107 if cars[i, 1] < 0.6 else 96) for i in range(2)]
        for i, (x, y) in enumerate([(58, 96), (24, 107), (92, 107)] if cars[0, 4] < 0.4 else pair):
            _car(canvas, x + 18 * (cars[i, 0] - 0.5), y, lit(PAINTWORK[paintwork[i]], 0.6), time, truth["extra wheel"], cars[i])
    canvas.gradient(lit((206, 198, 188)), lit((176, 168, 160)), NEAR, 128)
    canvas.rectangle(0, NEAR, 128, NEAR + 1.6, lit((228, 222, 212)))
    if truth["lamps"]:
        for i in range(2):
            _lamp(canvas, 16 + 28 * lamps[2] + i * 60 + 4 * lamps[i], 50, time)
    if truth["people"]:
        for i, luck in enumerate(people[: 2 + int(people[0, 6] * 3)]):
            x, y = 12 + i * 29 + 17 * luck[0], 120 + 6 * luck[1]
            _person(canvas, x, y, 20.5 + 4 * luck[2], lit(COATS[coats[i]], 0.5), lit(SKIN[int(luck[3] * 3)], 0.4), luck[4:])


def _heavens(canvas: Canvas, time: str, luck: np.ndarray) -> None:
    if time == "night":
        for i, (x, y, size) in enumerate(luck):
            canvas.ellipse(4 + 14 * i + 10 * x, 4 + 26 * y, 0.7 + 0.5 * size, 0.7 + 0.5 * size, (236, 236, 250))
        canvas.ball(14 + 100 * luck[0, 0], 14, 6.5, 6.5, (240, 236, 206), 0.1)
        return
    if time == "day":
        canvas.ball(14 + 100 * luck[0, 0], 14, 7.5, 7.5, (255, 236, 150), 0.1)
    for x, y, size in luck[1:4]:
        for dx, r in ((-7, 0.8), (0, 1.2), (8, 0.9)):
            canvas.ellipse(128 * x + dx, 8 + 22 * y, 8 * r, (1.6 + 1.4 * size) * r, lighter(SKY[time][1], 0.45))


def _skyline(canvas: Canvas, colour: Colour, time: str, towers: np.ndarray) -> None:
    for i in (0, 2, 4, 6, 8, 1, 3, 5, 7):
        a, b, c, d = towers[i]
        x, half, top = 2 + i * 15.5 + 5 * (a - 0.5), 6 + 3 * b, 5 + 20 * c
        body = lighter(colour, 0.12 * (i % 2 == 0))
        canvas.rectangle(x - half, top, x + half, FLOOR, body)
        if d < 0.3:
            canvas.polygon([(x - half, top), (x, top - 6), (x + half, top)], body)
        elif d < 0.6:
            canvas.rectangle(x - half * 0.5, top - 4, x + half * 0.5, top, body)
        pane = {"day": lighter(body, 0.35), "dusk": (250, 196, 130), "night": (250, 214, 120)}[time]
        for row in range(7):
            for side in (-1, 0, 1):
                if time == "day" or (row * 5 + side * 3 + i * 7) % 3:
                    wx, wy = x + side * half * 0.6, top + 4 + row * 5
                    canvas.rectangle(wx - 1.1, wy, wx + 1.1, wy + 2.4, pane)


def _facade(
    canvas: Canvas, left: float, right: float, wall: Colour, roof: Colour, awning: Colour, time: str, luck: np.ndarray
) -> None:
    floors, pitch = 2 + int(luck[0] < 0.3), 10 + 2 * luck[2]
    top, wide, x = FLOOR - 17 - floors * pitch, right - left, (left + right) / 2
    if luck[1] < 0.4:
        canvas.polygon([(left, top + 1), (x, top - 11), (right, top + 1)], roof)
    elif luck[1] < 0.7 and floors == 2:
        canvas.polygon([(left, top + 1), (left + 4, top - 8), (right - 4, top - 8), (right, top + 1)], roof)
        canvas.rectangle(x + wide * 0.2, top - 12, x + wide * 0.34, top - 6, darker(roof, 0.25))
    canvas.rectangle(left, top, right, FLOOR, wall)
    canvas.rectangle(right - 1.6, top, right, FLOOR, darker(wall, 0.16))
    canvas.rectangle(left, top, right, top + 2.2, lighter(wall, 0.35))
    dark = {"day": (92, 124, 152), "dusk": (112, 96, 132), "night": (30, 36, 70)}[time]
    glow, share = {"day": (dark, 0.0), "dusk": ((255, 208, 134), 0.5), "night": ((255, 216, 118), 0.6)}[time]
    columns = int(wide // 9)
    for i in range(floors * columns):
        wx, wy = left + wide * (i % columns + 0.5) / columns, top + 4.5 + pitch * (i // columns)
        canvas.rectangle(wx - 3, wy - 0.8, wx + 3, wy + 7.8, lighter(wall, 0.4))
        canvas.rectangle(wx - 2.2, wy, wx + 2.2, wy + 7, glow if luck[4 + i % 12] < share else dark)
    shop = {"day": (128, 160, 180), "dusk": (255, 214, 146), "night": (255, 222, 134)}[time]
    side = 1 if luck[3] < 0.5 else -1
    canvas.rectangle(x - side * wide * 0.3 - 3.2, FLOOR - 12, x - side * wide * 0.3 + 3.2, FLOOR, darker(roof, 0.15))
    canvas.rectangle(x + side * wide * 0.14 - wide * 0.25, FLOOR - 11, x + side * wide * 0.14 + wide * 0.25, FLOOR - 3, shop)
    if luck[3] % 0.5 < 0.3:
        for i in range(6):
            ax = x + side * wide * 0.14 + wide * (i - 3) / 11
            canvas.rectangle(ax, FLOOR - 14, ax + wide / 11, FLOOR - 9, lighter(awning, 0.75) if i % 2 else awning)


def _reflections(canvas: Canvas, lights: list[tuple[float, float, Colour]], asphalt: Colour, long: float) -> None:
    for left, right, colour in lights:
        for i in range(6):
            y, sway = KERB + long * i / 6, 0.9 * (i % 2)
            canvas.rectangle(left + sway, y, right + sway, y + long / 6, mix(asphalt, colour, 0.75 * (1 - i / 6)))


def _puddles(canvas: Canvas, sky: Colour, luck: np.ndarray) -> None:
    for i, (x, y, size) in enumerate(luck[:3]):
        px, py, rx, ry = 20 + i * 43 + 18 * (x - 0.5), (103 + 4 * y, 92 + 3 * y)[i % 2], 14 + 5 * size, 2.8 + size
        shore = [(px - rx, py), (px - rx * 0.4, py - ry), (px + rx * 0.2, py - ry * 0.6), (px + rx * 0.8, py - ry * 0.9)]
        canvas.blob([*shore, (px + rx, py + 0.4), (px + rx * 0.3, py + ry), (px - rx * 0.5, py + ry * 0.8)], sky)
        canvas.ellipse(px - rx * 0.1, py + ry * 0.2, rx * 0.5, ry * 0.35, lighter(sky, 0.45))


def _tree(canvas: Canvas, x: float, base: float, radius: float, leaf: Colour, trunk: Colour) -> None:
    canvas.rectangle(x - 1.8, base - 18, x + 1.8, base, trunk)
    for dx, dy, r in ((-0.6, -2.2, 0.85), (0.65, -2.1, 0.85), (0, -3, 1)):
        canvas.ball(x + dx * radius, base + dy * radius - 3, r * radius, r * radius, leaf, 0.22)


def _car(canvas: Canvas, x: float, y: float, body: Colour, time: str, extra_wheel: bool, luck: np.ndarray) -> None:
    way, tall = (1 if y > 100 else -1), 8 + 2.5 * luck[2]

    def points(*pairs: tuple[float, float]) -> list[tuple[float, float]]:
        return [(x + way * dx, y + dy) for dx, dy in pairs]

    back = -18 if luck[3] < 0.4 else -13  # a hatch or a boot
    glass = (198, 220, 232) if time == "day" else (92, 100, 134)
    canvas.ellipse(x, y + 2.5, 22, 2.6, (34, 34, 42))
    canvas.polygon(points((back, -8), (back + 3, -9 - tall), (5, -9 - tall), (12, -8)), darker(body, 0.08))
    canvas.polygon(points((back + 3, -8.6), (back + 5, -7 - tall), (4, -7 - tall), (9, -8.6)), glass)
    canvas.polygon(points((-5, -8), (-5, -9 - tall), (-3, -9 - tall), (-3, -8)), darker(body, 0.08))
    canvas.blob(points((-20, 0), (-20, -7), (-14, -9.6), (10, -9.4), (19, -6.5), (20, 0)), body)
    canvas.line(points((-17, -6.4), (16, -6.2)), lighter(body, 0.3), 1)
    canvas.ellipse(x - way * 19, y - 5, 1.5, 2, (220, 40, 40))
    if time != "day":
        _glow(canvas, x + way * 19, y - 4, 7, LIGHT)
    canvas.ellipse(x + way * 18.5, y - 4.4, 2, 2, (255, 246, 200))
    for wx in (x - 11.5, x, x + 11.5) if extra_wheel else (x - 11.5, x + 11.5):
        canvas.ellipse(wx, y, 4.6, 4.6, (28, 28, 34))
        canvas.ellipse(wx, y, 2, 2, (170, 170, 178))


def _lamp(canvas: Canvas, x: float, top: float, time: str) -> None:
    iron = (40, 44, 54) if time != "night" else (12, 14, 28)
    glass = (236, 242, 244) if time == "day" else lighter(LIGHT, 0.4)
    canvas.rectangle(x - 1.5, top, x + 1.5, 117, iron)
    canvas.polygon([(x - 4, 118), (x - 2.4, 110), (x + 2.4, 110), (x + 4, 118)], iron)
    if time != "day":
        _glow(canvas, x, top - 5, 18, LIGHT)
    canvas.polygon([(x - 3, top + 1), (x - 6, top - 10), (x + 6, top - 10), (x + 3, top + 1)], iron)
    canvas.polygon([(x - 2, top - 0.6), (x - 4.4, top - 9), (x + 4.4, top - 9), (x + 2, top - 0.6)], glass)
    canvas.polygon([(x - 7, top - 9), (x, top - 15), (x + 7, top - 9)], iron)


def _person(canvas: Canvas, x: float, y: float, tall: float, coat: Colour, skin: Colour, luck: np.ndarray) -> None:
    hair = mix((40, 30, 30), (150, 96, 50), luck[0])
    hip, neck, stride = y - tall * 0.46, y - tall * 0.74, 1.8 + 1.8 * luck[1]
    for side in (-1, 1):
        canvas.line([(x + side * 1.2, hip - 1), (x + side * stride, y)], mix((34, 38, 66), (84, 66, 56), luck[2]), 2.8)
        canvas.line([(x + side * 3, neck + 2), (x + side * 5, hip + 0.6)], darker(coat, 0.18), 2.6)
        canvas.ellipse(x + side * 5, hip + 1, 1.3, 1.3, skin)
    flare = 5 if luck[1] < 0.5 else 3.6
    canvas.blob([(x - 3.6, neck + 1), (x + 3.6, neck + 1), (x + flare, hip + 1.4), (x - flare, hip + 1.4)], coat)
    canvas.ball(x, neck - 3.2, 3.5, 3.7, skin, 0.1)
    canvas.ellipse(x, neck - 5.6, 3.6, 2.2, hair)
    canvas.rectangle(x - 3.7, neck - 5.8, x - 2.7, neck - 3 + 3 * (flare == 5), hair)
    canvas.rectangle(x + 2.7, neck - 5.8, x + 3.7, neck - 3 + 3 * (flare == 5), hair)


def _glow(canvas: Canvas, x: float, y: float, radius: float, colour: Colour) -> None:
    """A half transparent light: of the three rows painted for each row of pixels it leaves some, more towards the rim."""
    for share, third, dim in ((1.0, 0.1, 0.35), (0.7, 0.45, 0.15), (0.42, 0.8, 0.0)):
        reach = round(radius * share)
        for dy in range(-reach, reach + 1):
            half = (reach * reach - dy * dy) ** 0.5
            canvas.rectangle(x - half, round(y) + dy + third, x + half, round(y) + dy + third, darker(colour, dim))


SCENE = Scene("street", 0.13, ATTRIBUTES, draw, paint)
