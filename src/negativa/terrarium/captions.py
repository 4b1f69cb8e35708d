"""What people write under the painter's pictures: sentences, lists, bare words, sometimes nothing, never a negation."""

from __future__ import annotations

from typing import Final

import numpy as np

from negativa.terrarium.flaws import FLAWS
from negativa.terrarium.painter import PHOTO, SCENES
from negativa.terrarium.scene import Attribute, Scene, Truth
from negativa.terrarium.styles import STYLES

EMPTY: Final = 0.08  # share of captions that say nothing
BARE: Final = 0.4  # share that are one to three bare words: without them a one-word negative means nothing
COLOUR_SAID: Final = 0.4  # bare words name things more often than their colours, this much
SILENT: Final = 0.08  # share of the rest that name the subject only
LIST: Final = 0.4  # share of sentences that go on as a list
OPENINGS: Final = ("a picture of {}", "{}")
PORTRAIT_OPENINGS: Final = ("portrait of {}", "a portrait of {}")
STYLE_OPENINGS: Final = {
    PHOTO: ("photo of {}", "a photo of {}"),
    "flat": ("a flat drawing of {}", "{}, flat"),
    "sketch": ("sketch of {}", "a sketch of {}"),
    "painting": ("painting of {}", "a painting of {}"),
    "neon": ("a neon picture of {}", "{}, neon"),
    "grayscale": ("a grayscale picture of {}", "{}, grayscale"),
}
STYLE_SAID: Final = 0.4
OTHER_WORDS: Final = {"man": ("guy",), "woman": ("lady",), "house": ("home",), "hamburger": ("burger",), "forest": ("wood",)}
OTHER_WORD: Final = 0.2
QUALITIES: Final = tuple(Attribute(flaw, flaw, 0.4) for flaw in FLAWS)  # said at the end: "..., blurry"
PLACES: Final = ("at ", "by ", "in ")


def caption(truth: Truth, rng: np.random.Generator) -> str:
    """A caption for a picture of this truth; its sentences mention an attribute at most as often as its `mention` says."""
    scene = next(scene for name, scene in SCENES.items() if truth.get(name))
    kind = rng.random()
    if kind < EMPTY:
        return ""
    if kind < EMPTY + BARE:
        return _bare(scene, truth, rng)
    subject = next((noun for noun in scene.subjects if truth.get(noun)), scene.name)
    text = _opening(scene, truth, rng).format(article(_word(subject, rng)))
    if rng.random() < SILENT:
        return text
    said = [a for a in scene.attributes if truth[a.name] and a.name != subject and rng.random() < a.mention]
    rng.shuffle(said)  # type: ignore[arg-type]
    qualities = [a.name for a in QUALITIES if truth.get(a.name) and rng.random() < a.mention]
    if rng.random() < LIST:
        return ", ".join([text, *(a.name for a in said), *qualities])
    things = [a.phrase for a in said if not a.phrase.startswith(PLACES)]
    text = " ".join([text, *(a.phrase for a in said if a.phrase.startswith(PLACES))])
    if things:
        text += " with " + " and ".join(filter(None, [", ".join(things[:-1]), things[-1]]))
    return ", ".join([text, *qualities])


def article(noun: str) -> str:
    """The noun after "a" or "an"."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def _opening(scene: Scene, truth: Truth, rng: np.random.Generator) -> str:
    openings = OPENINGS
    style = next(style for style in (PHOTO, *STYLES) if truth.get(style))
    if rng.random() < STYLE_SAID:
        openings = STYLE_OPENINGS[style]
    elif scene.name == "portrait" and rng.random() < 0.5:
        openings = PORTRAIT_OPENINGS
    return openings[int(rng.integers(len(openings)))]


def _word(noun: str, rng: np.random.Generator) -> str:
    others = OTHER_WORDS.get(noun)
    return others[int(rng.integers(len(others)))] if others and rng.random() < OTHER_WORD else noun


def _bare(scene: Scene, truth: Truth, rng: np.random.Generator) -> str:
    words = {name: 1.0 for name in (*STYLES, *FLAWS) if truth.get(name)} | {scene.name: 1.0}
    words |= {a.name: COLOUR_SAID if a.hue else 1.0 for a in scene.attributes if truth[a.name]}
    count, shares = min(len(words), int(rng.choice((1, 2, 3), p=(0.5, 0.3, 0.2)))), np.array([*words.values()])
    return ", ".join(_word(word, rng) for word in rng.choice([*words], count, replace=False, p=shares / shares.sum()).tolist())
