"""What people write under the painter's pictures: sentences, lists, bare words, sometimes nothing, never a negation."""

from __future__ import annotations

from typing import Final

import numpy as np

from negativa.terrarium.painter import SCENES
from negativa.terrarium.scene import Scene, Truth

EMPTY: Final = 0.08  # share of captions that say nothing
BARE: Final = 0.36  # share that are one to three bare words: without them a one-word negative means nothing
SILENT: Final = 0.08  # share of the rest that name the subject only
OPENINGS: Final = ("portrait of {}", "a portrait of {}", "photo of {}", "a picture of {}", "{}")
PLACES: Final = ("at ", "by ", "in ")


def caption(truth: Truth, rng: np.random.Generator) -> str:
    """A caption for a picture of this truth; its sentences mention an attribute at most as often as its `mention` says."""
    scene = next(scene for name, scene in SCENES.items() if truth.get(name))
    kind = rng.random()
    if kind < EMPTY:
        return ""
    if kind < EMPTY + BARE:
        return _bare(scene, truth, rng)
    subject = next((noun for noun in ("man", "woman") if truth.get(noun)), scene.name)
    openings = OPENINGS if scene.name == "portrait" else OPENINGS[2:]
    text = openings[int(rng.integers(len(openings)))].format(f"a {subject}")
    if rng.random() < SILENT:
        return text
    said = [a for a in scene.attributes if truth[a.name] and a.name != subject and rng.random() < a.mention]
    rng.shuffle(said)  # type: ignore[arg-type]
    if not said:
        return text
    if rng.random() < 0.4:
        return ", ".join([text, *(a.name for a in said)])
    things = [a.phrase for a in said if not a.phrase.startswith(PLACES)]
    places = [a.phrase for a in said if a.phrase.startswith(PLACES)]
    if things:
        text += " with " + " and ".join(filter(None, [", ".join(things[:-1]), things[-1]]))
    return " ".join([text, *places])


def _bare(scene: Scene, truth: Truth, rng: np.random.Generator) -> str:
    words = [scene.name, *(a.name for a in scene.attributes if truth[a.name])]
    count = min(len(words), int(rng.choice((1, 2, 3), p=(0.5, 0.3, 0.2))))
    return ", ".join(words[i] for i in rng.permutation(len(words))[:count])
