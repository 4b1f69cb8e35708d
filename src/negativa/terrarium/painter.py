"""The painter: draws pictures whose content it therefore knows."""

from __future__ import annotations

import numpy as np
from PIL import Image

from negativa.errors import InputError, nearest
from negativa.terrarium import house, portrait
from negativa.terrarium.canvas import Canvas
from negativa.terrarium.scene import Scene, Truth

SCENES: dict[str, Scene] = {scene.name: scene for scene in (portrait.SCENE, house.SCENE)}

#: Everything the reader is asked about: the kinds of scene, then the attributes of each.
ATTRIBUTES: tuple[str, ...] = (*SCENES, *(a.name for scene in SCENES.values() for a in scene.attributes))


def paint(rng: np.random.Generator, kind: str | None = None, **attributes: bool) -> tuple[Image.Image, Truth]:
    """Paint one picture.

    `kind`: "portrait" or "house", drawn among those that have the attributes if None. `attributes` fixes some of them,
    named as in captions with an underscore for a space (`mustache=False, brown_hair=True`); the rest is drawn at the
    world's rates.
    Returns the picture (128x128, RGB) and its truth, attribute -> bool.
    Raises `InputError` for an unknown kind or attribute.
    """
    if kind is not None and kind not in SCENES:
        raise InputError(f"kind: {kind!r} is no kind of scene; {nearest(kind, SCENES)}")
    given = {name.replace("_", " "): bool(value) for name, value in attributes.items()}
    fitting = [scene for scene in SCENES.values() if given.keys() <= {a.name for a in scene.attributes}] or [*SCENES.values()]
    shares = np.array([scene.share for scene in fitting])
    drawn = fitting[rng.choice(len(fitting), p=shares / shares.sum())]
    scene = SCENES[kind] if kind else drawn
    truth = scene.truth(rng, given)
    canvas = Canvas()
    scene.paint(canvas, truth, rng)
    return canvas.picture(), truth
