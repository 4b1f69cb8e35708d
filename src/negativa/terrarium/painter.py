"""The painter: draws pictures whose content it therefore knows."""

from __future__ import annotations

from typing import Final

import numpy as np
from PIL import Image

from negativa.errors import InputError, nearest
from negativa.terrarium import armchair, forest, house, meal, portrait, street
from negativa.terrarium.canvas import Canvas
from negativa.terrarium.flaws import FLAWS
from negativa.terrarium.scene import Draw, Scene, Truth
from negativa.terrarium.styles import STYLES

SCENES: Final[dict[str, Scene]] = {
    module.SCENE.name: module.SCENE for module in (portrait, house, street, forest, meal, armchair)
}
PHOTO: Final = "photo"  # the style of most pictures: shaded, as the scenes are painted
STYLE_RATES: Final = {PHOTO: 0.75} | dict.fromkeys(STYLES, 0.05)
COLOURLESS: Final = ("sketch", "neon", "grayscale")
FLAW_RATE: Final = 0.034  # of each one, over styles with natural colours; about a quarter of all pictures have some

#: Everything the reader is asked about: the kinds of scene, the attributes of each, styles, flaws.
ATTRIBUTES: Final[tuple[str, ...]] = tuple(
    dict.fromkeys([*SCENES, *(a.name for scene in SCENES.values() for a in scene.attributes), *STYLE_RATES, *FLAWS])
)
#: What makes a picture a flawed one: what is done to a painting, and what it has too many of.
FLAWED: Final = (*FLAWS, *(name for name in ATTRIBUTES if name.startswith("extra ")))
CLEAN: Final = {flaw.replace(" ", "_"): False for flaw in FLAWS}  # what `paint` is given for a painting left as it is


def paint(rng: np.random.Generator, kind: str | None = None, **attributes: bool) -> tuple[Image.Image, Truth]:
    """Paint one picture.

    `kind`: one of `SCENES`, drawn among those that have the attributes if None. `attributes` fixes some of them, named as
    in captions with an underscore for a space (`mustache=False, brown_hair=True, blurry=True, sketch=True`); the rest is
    drawn at the world's rates.
    Returns the picture (128x128, RGB) and its truth, attribute -> bool.
    Raises `InputError` for an unknown kind or attribute.
    """
    if kind is not None and kind not in SCENES:
        raise InputError(f"kind: {kind!r} is no kind of scene; {nearest(kind, SCENES)}")
    given = {name.replace("_", " "): bool(value) for name, value in attributes.items()}
    drawn_as = {name: given.pop(name) for name in [*given] if name in STYLE_RATES or name in FLAWS}
    fitting = [scene for scene in SCENES.values() if given.keys() <= {a.name for a in scene.attributes}] or [*SCENES.values()]
    shares = np.array([scene.share for scene in fitting])
    drawn = fitting[rng.choice(len(fitting), p=shares / shares.sum())]
    scene = SCENES[kind] if kind else drawn
    truth = scene.truth(rng, given)
    for name in (attribute.name for attribute in scene.attributes if attribute.hue and given.get(attribute.name)):
        for style in COLOURLESS:
            if drawn_as.setdefault(style, False):
                raise InputError(f"attributes: {name!r} and {style!r} were given; such a picture does not show that colour")
    draw = Draw(rng, drawn_as)
    style = draw.choice(STYLE_RATES)
    flaws = [name for name in FLAWS if draw.flag(name, FLAW_RATE, style not in COLOURLESS)]
    canvas = Canvas()
    scene.paint(canvas, truth, rng)
    picture = canvas.picture()
    if style in STYLES:
        picture = STYLES[style](picture, rng)
    for name in flaws:
        picture = FLAWS[name](picture, rng)
    if style in COLOURLESS:
        truth |= {attribute.name: False for attribute in scene.attributes if attribute.hue}
    return picture, truth | draw.truth
