"""Portraits: a man or a woman, from the shoulders up."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TypeVar

import numpy as np

from negativa.errors import InputError
from negativa.terrarium.canvas import Canvas, Colour, any_colour, darker, lighter, mix
from negativa.terrarium.scene import Attribute, Draw, Scene, Truth

T = TypeVar("T")

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
SKIN: dict[str, tuple[Colour, Colour]] = {
    "pale skin": ((252, 226, 206), (244, 206, 176)),
    "tan skin": ((226, 176, 136), (210, 156, 114)),
    "dark skin": ((160, 108, 74), (122, 80, 54)),
}
EYES: dict[str, Colour] = {"blue eyes": (66, 124, 196), "brown eyes": (112, 66, 30), "green eyes": (70, 144, 78)}
FACE: dict[str, tuple[float, float]] = {"oval face": (25, 32), "round face": (29.5, 29.5), "long face": (22, 36.5)}

ATTRIBUTES = (
    Attribute("man", "a man", 1.0),
    Attribute("woman", "a woman", 1.0),
    Attribute("mustache", "a mustache", 0.4),
    Attribute("beard", "a beard", 0.55),
    Attribute("glasses", "glasses", 0.55),
    Attribute("hat", "a hat", 0.55),
    Attribute("smile", "a smile", 0.55),
    Attribute("earrings", "earrings", 0.55),
    Attribute("freckles", "freckles", 0.55),
    Attribute("extra eye", "an extra eye", 0.4),
    *(Attribute(name, name, 0.4) for name in ("short hair", "long hair", "curly hair")),
    Attribute("bald head", "a bald head", 0.5),
    *(Attribute(name, name, 0.4, hue=True) for name in HAIR),
    *(Attribute(name, name, 0.3, hue=True) for name in (*SKIN, *EYES)),
    *(Attribute(name, f"{'an' if name[0] == 'o' else 'a'} {name}", 0.3) for name in FACE),
    *(Attribute(name, f"a {name}", 0.35, hue=True) for name in BACKGROUND),
)


def draw(draw: Draw) -> None:
    man = draw.choice({"man": 0.5, "woman": 0.5}) == "man"
    draw.flag("mustache", 0.6, man)
    draw.flag("beard", 0.25, man)
    draw.flag("glasses", 0.35)
    draw.flag("smile", 0.5)
    draw.flag("earrings", 0.45, not man)
    draw.flag("freckles", 0.25)
    coloured = [name for name in HAIR if draw.given.get(name)]
    if coloured and draw.given.get("bald head"):
        raise InputError(f"attributes: 'bald head' and {coloured[0]!r} were given; a portrait has one of them")
    bald = 0.0 if coloured else 0.14 if man else 0.02
    long = 0.08 if man else 0.56
    style = draw.choice({"short hair": 0.8 - bald - long, "long hair": long, "curly hair": 0.2, "bald head": bald})
    colours = {"black hair": 0.22, "brown hair": 0.28, "blond hair": 0.2, "red hair": 0.15, "gray hair": 0.15}
    draw.choice(colours)
    if style == "bald head":
        draw.truth |= dict.fromkeys(colours, False)
    hat = draw.flag("hat", 0.3, style != "bald head")
    draw.flag("extra eye", 0.05, not hat)
    for choices in (SKIN, EYES, FACE, BACKGROUND):
        draw.choice(dict.fromkeys(choices, 1.0))


def paint(canvas: Canvas, truth: Truth, rng: np.random.Generator) -> None:
    def chosen(table: Mapping[str, T]) -> T:
        return next(value for name, value in table.items() if truth[name])

    hair = any_colour(rng, 60, 110) if truth["bald head"] else chosen(HAIR)
    hair = mix(hair, lighter(hair, 0.25), rng.random() * 0.4)
    back = mix(chosen(BACKGROUND), (128, 128, 128), rng.random() * 0.12)
    skin = mix(*chosen(SKIN), rng.random())
    shirt = any_colour(rng, 60, 190)
    x, y = 64 + rng.uniform(-4, 4), 62 + rng.uniform(-3, 3)  # the middle of the face
    wide, tall = (side + rng.uniform(-1, 1) for side in chosen(FACE))
    if truth["woman"]:
        wide -= 1
    gaze = rng.uniform(-1, 1)
    apart, nose, lips = rng.uniform(0.4, 0.47), rng.uniform(3.4, 5.2), rng.uniform(0.9, 1.15)
    parting = rng.uniform(-0.5, 0.5)
    seen = [colour for colour in WHISKERS if math.dist(colour, skin) > 60]
    whiskers = seen[int(rng.integers(len(seen)))]  # of their own colour, so that no mustache says nothing about hair
    whiskers = mix(whiskers, lighter(whiskers, 0.12), rng.random())

    canvas.gradient(lighter(back, 0.16), darker(back, 0.1))
    if truth["long hair"]:
        _long_hair(canvas, x, y, wide, tall, darker(hair, 0.12))
    elif truth["curly hair"]:
        _curls(canvas, x, y, wide, tall, darker(hair, 0.08))
    elif truth["short hair"]:
        canvas.ellipse(x, y - 9, wide + 8, tall + 6, darker(hair, 0.12))
    _shoulders(canvas, x, y, tall, shirt, skin, broad=truth["man"])
    for side in (-1, 1):
        canvas.ball(x + side * (wide + 0.5), y + 2, 4.5, 7, darker(skin, 0.06), 0.1)
        if truth["earrings"]:
            canvas.ball(x + side * (wide + 2), y + 12, 3.6, 4.4, (250, 206, 60), 0.3)
    canvas.ball(x, y, wide, tall, skin, 0.14)
    if truth["beard"]:
        _beard(canvas, x, y, wide, tall, whiskers, skin)
    if truth["freckles"]:
        _freckles(canvas, x, y, wide, mix(skin, (120, 40, 20), 0.5))
    if not truth["bald head"]:
        _fringe(canvas, x, y, wide, tall, hair, parting)
        if truth["curly hair"]:
            _curly_fringe(canvas, x, y, wide, tall, hair)
    for side in (-1, 1):
        _eye(canvas, x + side * wide * apart, y - 4, gaze, chosen(EYES), darker(hair, 0.25))
    if truth["extra eye"]:
        _eye(canvas, x, y - 15, gaze, chosen(EYES), darker(hair, 0.25))
    canvas.blob([(x, y - 1), (x + nose, y + 9), (x, y + 11), (x - nose, y + 9)], darker(skin, 0.12))
    canvas.blob([(x - 0.6, y - 2), (x + nose - 1.6, y + 8), (x - 0.6, y + 9.4), (x - nose + 1, y + 8)], lighter(skin, 0.1))
    _mouth(canvas, x, y, lips, truth["smile"], darker(mix(skin, (190, 60, 60), 0.55), 0.08))
    if truth["mustache"]:
        _mustache(canvas, x, y, whiskers)
    if truth["glasses"]:
        _glasses(canvas, x, y, wide, apart, (36, 36, 48))
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


def _curls(canvas: Canvas, x: float, y: float, wide: float, tall: float, hair: Colour) -> None:
    for i in range(15):
        angle = math.radians(150 + i * 240 / 14)
        canvas.ball(x + (wide + 3) * math.cos(angle), y - 4 + (tall + 3) * math.sin(angle), 7.5, 7.5, hair, 0.2)


def _curly_fringe(canvas: Canvas, x: float, y: float, wide: float, tall: float, hair: Colour) -> None:
    for i in range(6):
        angle = math.radians(205 + i * 26)
        canvas.ball(x + wide * 0.8 * math.cos(angle), y - 2 + tall * 0.86 * math.sin(angle), 7, 6.5, hair, 0.2)


def _freckles(canvas: Canvas, x: float, y: float, wide: float, colour: Colour) -> None:
    for side in (-1, 1):
        for dx, dy in ((0.3, 6), (0.48, 4.5), (0.62, 7), (0.4, 10), (0.56, 11)):
            canvas.ellipse(x + side * dx * wide, y + dy, 1.6, 1.6, colour)


def _eye(canvas: Canvas, x: float, y: float, gaze: float, iris: Colour, brow: Colour) -> None:
    canvas.ellipse(x, y, 6.6, 4.5, (250, 248, 244))
    canvas.ellipse(x + gaze, y, 4.0, 4.2, iris)
    canvas.ellipse(x + gaze, y, 1.7, 1.8, (20, 18, 22))
    canvas.arc(x, y + 1, 7.2, 6, 195, 345, (60, 44, 40), 1.1)
    canvas.arc(x, y - 1.4, 8.2, 8.2, 215, 325, brow, 2.1)


def _mouth(canvas: Canvas, x: float, y: float, w: float, smile: bool, lips: Colour) -> None:
    if smile:
        upper = [(x - 11 * w, y + 17.5), (x, y + 20), (x + 11 * w, y + 17.5)]
        canvas.blob([*upper, (x + 6 * w, y + 25), (x, y + 27), (x - 6 * w, y + 25)], lips)
        canvas.blob([(x - 8 * w, y + 19.4), (x, y + 21), (x + 8 * w, y + 19.4), (x, y + 24)], (252, 250, 246))
    else:
        canvas.blob([(x - 8 * w, y + 20.5), (x, y + 18.8), (x + 8 * w, y + 20.5), (x, y + 23)], lips)


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


def _glasses(canvas: Canvas, x: float, y: float, wide: float, apart: float, frame: Colour) -> None:
    for side in (-1, 1):
        canvas.ring(x + side * wide * apart, y - 3.4, 9, 8, frame, 1.9)
        canvas.line([(x + side * (wide * apart + 8.5), y - 5), (x + side * (wide + 1), y - 5)], frame, 1.6)
    canvas.line([(x - wide * apart + 8.5, y - 4), (x + wide * apart - 8.5, y - 4)], frame, 1.9)


def _hat(canvas: Canvas, x: float, y: float, wide: float, tall: float, felt: Colour) -> None:
    brim = y - tall * 0.62
    canvas.blob(
        [(x - wide * 1.14, brim), (x - wide * 1.08, brim - 22), (x - wide * 0.5, brim - 32), (x, brim - 28)]
        + [(x + wide * 0.5, brim - 32), (x + wide * 1.08, brim - 22), (x + wide * 1.14, brim)],
        felt,
    )
    canvas.rectangle(x - wide * 1.15, brim - 6, x + wide * 1.15, brim, darker(felt, 0.35))
    canvas.ball(x, brim + 1, wide + 15, 5.2, felt, 0.16)


SCENE = Scene("portrait", 0.38, ATTRIBUTES, draw, paint, ("man", "woman"))
