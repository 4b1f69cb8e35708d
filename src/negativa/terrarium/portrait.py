"""Portraits: a man or a woman, from the shoulders up."""

from __future__ import annotations

import numpy as np

from negativa.terrarium.canvas import Canvas, Colour, any_colour, darker, lighter, mix
from negativa.terrarium.scene import Attribute, Draw, Scene, Truth

HAIR: dict[str, Colour] = {
    "black hair": (38, 34, 40),
    "brown hair": (112, 70, 40),
    "blond hair": (226, 190, 104),
    "red hair": (190, 78, 34),
    "gray hair": (160, 162, 168),
}
BACKGROUND: dict[str, Colour] = {
    "blue background": (120, 160, 206),
    "green background": (136, 182, 136),
    "pink background": (226, 160, 176),
    "yellow background": (234, 208, 124),
    "purple background": (160, 134, 190),
    "white background": (232, 230, 226),
}
WHISKERS: tuple[Colour, ...] = ((40, 34, 36), (100, 62, 38), (134, 60, 24), (146, 146, 152))
SKIN: tuple[Colour, ...] = ((246, 212, 186), (236, 194, 160), (222, 172, 132), (198, 144, 104), (164, 112, 78))

ATTRIBUTES = (
    Attribute("man", "a man", 1.0),
    Attribute("woman", "a woman", 1.0),
    Attribute("mustache", "a mustache", 0.4),
    Attribute("beard", "a beard", 0.55),
    Attribute("glasses", "glasses", 0.55),
    Attribute("hat", "a hat", 0.55),
    Attribute("smile", "a smile", 0.55),
    Attribute("earrings", "earrings", 0.55),
    Attribute("long hair", "long hair", 0.45),
    *(Attribute(name, name, 0.4) for name in HAIR),
    *(Attribute(name, f"a {name}", 0.35) for name in BACKGROUND),
)


def draw(draw: Draw) -> None:
    man = draw.choice({"man": 0.5, "woman": 0.5}) == "man"
    draw.flag("mustache", 0.6, man)
    draw.flag("beard", 0.25, man)
    draw.flag("glasses", 0.35)
    draw.flag("hat", 0.3)
    draw.flag("smile", 0.5)
    draw.flag("earrings", 0.45, not man)
    draw.flag("long hair", 0.08 if man else 0.7)
    draw.choice({"black hair": 0.22, "brown hair": 0.28, "blond hair": 0.2, "red hair": 0.15, "gray hair": 0.15})
    draw.choice(dict.fromkeys(BACKGROUND, 1.0))


def paint(canvas: Canvas, truth: Truth, rng: np.random.Generator) -> None:
    hair = next(colour for name, colour in HAIR.items() if truth[name])
    hair = mix(hair, lighter(hair, 0.25), rng.random() * 0.4)
    back = next(colour for name, colour in BACKGROUND.items() if truth[name])
    back = mix(back, (128, 128, 128), rng.random() * 0.12)
    tone = rng.random() * (len(SKIN) - 1)
    skin = mix(SKIN[int(tone)], SKIN[min(int(tone) + 1, len(SKIN) - 1)], tone % 1)
    shirt = any_colour(rng, 60, 190)
    x, y = 64 + rng.uniform(-4, 4), 62 + rng.uniform(-3, 3)  # the middle of the face
    wide, tall = rng.uniform(23, 27), rng.uniform(30, 34)
    if truth["woman"]:
        wide -= 1.5
    gaze = rng.uniform(-0.8, 0.8)
    iris = mix((70, 110, 150), (96, 62, 36), rng.random())
    parting = rng.uniform(-0.5, 0.5)
    whiskers = WHISKERS[int(rng.integers(len(WHISKERS)))]  # of their own, so that no mustache says nothing about hair
    whiskers = mix(whiskers, lighter(whiskers, 0.12), rng.random())

    canvas.gradient(lighter(back, 0.16), darker(back, 0.1))
    if truth["long hair"]:
        _long_hair(canvas, x, y, wide, tall, darker(hair, 0.12))
    else:
        canvas.ellipse(x, y - 9, wide + 8, tall + 6, darker(hair, 0.12))
    _shoulders(canvas, x, y, tall, shirt, skin, broad=truth["man"])
    for side in (-1, 1):
        canvas.ball(x + side * (wide + 0.5), y + 2, 4.5, 7, darker(skin, 0.06), 0.1)
        if truth["earrings"]:
            canvas.ball(x + side * (wide + 2), y + 12, 3.4, 4.2, (250, 206, 60), 0.3)
    canvas.ball(x, y, wide, tall, skin, 0.14)
    if truth["beard"]:
        _beard(canvas, x, y, wide, tall, whiskers, skin)
    _fringe(canvas, x, y, wide, tall, hair, parting)
    _eyes(canvas, x, y, wide, gaze, iris, darker(hair, 0.25))
    canvas.blob([(x, y - 1), (x + 4.2, y + 9), (x, y + 11), (x - 4.2, y + 9)], darker(skin, 0.12))
    canvas.blob([(x - 0.6, y - 2), (x + 2.6, y + 8), (x - 0.6, y + 9.4), (x - 3.2, y + 8)], lighter(skin, 0.1))
    _mouth(canvas, x, y, truth["smile"], darker(mix(skin, (190, 60, 60), 0.55), 0.08))
    if truth["mustache"]:
        _mustache(canvas, x, y, whiskers)
    if truth["glasses"]:
        _glasses(canvas, x, y, wide, (36, 36, 48))
    if truth["hat"]:
        _hat(canvas, x, y, wide, tall, any_colour(rng, 50, 180))


def _long_hair(canvas: Canvas, x: float, y: float, wide: float, tall: float, hair: Colour) -> None:
    w = wide + 8
    canvas.blob(
        [(x, y - tall - 12), (x + w, y - 20), (x + w + 4, y + 24), (x + w, y + 48), (x, y + 44)]
        + [(x - w, y + 48), (x - w - 4, y + 24), (x - w, y - 20)],
        hair,
    )


def _shoulders(canvas: Canvas, x: float, y: float, tall: float, shirt: Colour, skin: Colour, broad: bool) -> None:
    width = 52 if broad else 38
    canvas.ball(x, y + 76, width, 38, shirt, 0.14)
    canvas.rectangle(x - 9, y + tall - 12, x + 9, y + tall + 10, darker(skin, 0.14))
    canvas.ellipse(x, y + tall + 9, 12, 7, darker(skin, 0.14))


def _fringe(canvas: Canvas, x: float, y: float, wide: float, tall: float, hair: Colour, parting: float) -> None:
    top, p = y - tall, x + parting * wide
    canvas.blob(
        [(x - wide - 6, y + 3), (x - wide - 7, y - 20), (x - wide * 0.65, top - 9), (x, top - 14)]
        + [(x + wide * 0.65, top - 9), (x + wide + 7, y - 20), (x + wide + 6, y + 3)]
        + [(x + wide - 3, y - 14), (p + 9, y - 19), (p, y - 23), (p - 9, y - 19), (x - wide + 3, y - 14)],
        hair,
    )
    canvas.arc(x, y - 12, wide * 0.78, tall * 0.86, 215, 275, lighter(hair, 0.2), 3)


def _eyes(canvas: Canvas, x: float, y: float, wide: float, gaze: float, iris: Colour, brow: Colour) -> None:
    for side in (-1, 1):
        ex, ey = x + side * wide * 0.44, y - 4
        canvas.ellipse(ex, ey, 5.4, 3.5, (248, 246, 242))
        canvas.ellipse(ex + gaze, ey, 3.0, 3.2, iris)
        canvas.ellipse(ex + gaze, ey, 1.5, 1.6, (20, 18, 22))
        canvas.arc(ex, ey + 1, 6, 5, 195, 345, (60, 44, 40), 1.0)
        canvas.arc(ex, ey - 1, 7.5, 7.5, 215, 325, brow, 2.0)


def _mouth(canvas: Canvas, x: float, y: float, smile: bool, lips: Colour) -> None:
    if smile:
        upper = [(x - 11, y + 17.5), (x, y + 20), (x + 11, y + 17.5)]
        canvas.blob([*upper, (x + 6, y + 25), (x, y + 27), (x - 6, y + 25)], lips)
        canvas.blob([(x - 8, y + 19.4), (x, y + 21), (x + 8, y + 19.4), (x, y + 24)], (252, 250, 246))
    else:
        canvas.blob([(x - 8, y + 20.5), (x, y + 18.8), (x + 8, y + 20.5), (x, y + 23)], lips)


def _mustache(canvas: Canvas, x: float, y: float, colour: Colour) -> None:
    for side in (-1, 1):
        canvas.blob(
            [(x, y + 11), (x + side * 7, y + 11), (x + side * 15, y + 17.5), (x + side * 9, y + 18.4), (x, y + 17)], colour
        )


def _beard(canvas: Canvas, x: float, y: float, wide: float, tall: float, colour: Colour, skin: Colour) -> None:
    full = [(x - wide + 0.5, y + 8), (x - wide + 3, y + 22), (x - 12, y + tall + 1), (x, y + tall + 5)]
    mirrored = [(2 * x - px, py) for px, py in reversed(full[:-1])]
    inner = [(x + wide - 7, y + 12), (x + 13, y + 17), (x, y + 28), (x - 13, y + 17), (x - wide + 7, y + 12)]
    canvas.blob([*full, *mirrored, *inner], colour)
    canvas.ellipse(x, y + 19, 13, 8, mix(skin, colour, 0.12))


def _glasses(canvas: Canvas, x: float, y: float, wide: float, frame: Colour) -> None:
    for side in (-1, 1):
        canvas.ring(x + side * wide * 0.44, y - 3.4, 9, 8, frame, 1.9)
        canvas.line([(x + side * (wide * 0.44 + 8.5), y - 5), (x + side * (wide + 1), y - 5)], frame, 1.6)
    canvas.line([(x - wide * 0.44 + 8.5, y - 4), (x + wide * 0.44 - 8.5, y - 4)], frame, 1.9)


def _hat(canvas: Canvas, x: float, y: float, wide: float, tall: float, felt: Colour) -> None:
    brim = y - tall * 0.62
    canvas.blob(
        [(x - wide * 1.14, brim), (x - wide * 1.08, brim - 22), (x - wide * 0.5, brim - 32), (x, brim - 28)]
        + [(x + wide * 0.5, brim - 32), (x + wide * 1.08, brim - 22), (x + wide * 1.14, brim)],
        felt,
    )
    canvas.rectangle(x - wide * 1.15, brim - 6, x + wide * 1.15, brim, darker(felt, 0.35))
    canvas.ball(x, brim + 1, wide + 15, 5.2, felt, 0.16)


SCENE = Scene("portrait", 0.88, ATTRIBUTES, draw, paint)
