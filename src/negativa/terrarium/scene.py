"""What a kind of scene is: attributes with their rates, a draw of them, and a painter."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from negativa.errors import InputError, nearest
from negativa.terrarium.canvas import Canvas

Truth = dict[str, bool]  # attribute, named as in captions -> is it in the picture


@dataclass(frozen=True)
class Attribute:
    """Something a picture has or has not.

    `phrase` is how a sentence says it, `mention` how often a caption says it when it is there (0 to 1). `hue` is something
    that a picture without natural colours does not show.
    """

    name: str
    phrase: str
    mention: float
    hue: bool = False


class Draw:
    """Draws attributes one after another; what the caller asked for is taken as given.

    Every question uses the same amount of chance whether its answer was given or not, so that fixing one attribute
    leaves the rest of the picture as it was.
    """

    def __init__(self, rng: np.random.Generator, given: Mapping[str, bool]) -> None:
        self.rng, self.given, self.truth = rng, given, Truth()

    def flag(self, name: str, rate: float, allowed: bool = True) -> bool:
        """Is `name` there? With probability `rate`, never where it is not `allowed`, unless given."""
        answer = bool(self.rng.random() < rate and allowed)
        self.truth[name] = self.given.get(name, answer)
        return self.truth[name]

    def asked_with(self, name: str, needed: str) -> bool:
        """Was `name` asked for, which there is only with `needed`? Raises `InputError` if that was ruled out."""
        if self.given.get(name) and self.given.get(needed) is False:
            raise InputError(f"attributes: {name!r} was asked for and {needed!r} ruled out; there is none without the other")
        return bool(self.given.get(name))

    def choice(self, rates: Mapping[str, float]) -> str:
        """Exactly one of the names, by weight among those that are not ruled out.

        Raises `InputError` if two are asked for, or all are ruled out.
        """
        point = self.rng.random()
        wanted = [name for name in rates if self.given.get(name) is True]
        if len(wanted) > 1:
            raise InputError(f"attributes: {wanted[0]!r} and {wanted[1]!r} were given; a picture has one of {list(rates)}")
        left = wanted or [name for name in rates if self.given.get(name, True)]
        if not left:
            raise InputError(f"attributes: all of {list(rates)} were ruled out; a picture has one of them")
        edges = np.cumsum([rates[name] for name in left])
        chosen = left[int(np.searchsorted(edges, point * edges[-1], side="right").clip(0, len(left) - 1))]
        self.truth |= {name: name == chosen for name in rates}
        return chosen


@dataclass(frozen=True)
class Scene:
    """A kind of picture: its noun for captions, its share of all pictures, what varies in it, how that is drawn and painted.

    `subjects` are attributes that take the noun's place in captions when they are there ("man" for "portrait").
    """

    name: str
    share: float
    attributes: tuple[Attribute, ...]
    draw: Callable[[Draw], None]
    paint: Callable[[Canvas, Truth, np.random.Generator], None]
    subjects: tuple[str, ...] = ()

    def truth(self, rng: np.random.Generator, given: Mapping[str, bool]) -> Truth:
        """Draw the attributes; `given` ones as asked. Raises `InputError` for a name this scene does not have."""
        names = [attribute.name for attribute in self.attributes]
        for name in given:
            if name not in names:
                raise InputError(f"attributes: a {self.name} has no {name!r}; {nearest(name, names)}")
        draw = Draw(rng, given)
        self.draw(draw)
        return {self.name: True} | draw.truth
