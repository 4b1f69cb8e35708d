"""Making the pictures of an experiment, wherever that happens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Protocol, Unpack

from negativa.errors import NegativaError
from negativa.plain.receipt import OUT_OF_RANGE, Receipt
from negativa.plain.recipe import Recipe

if TYPE_CHECKING:
    from PIL import Image

    from negativa.studio import Loading, Studio


@dataclass(frozen=True)
class Made:
    """What became of recipe number `index`: a picture and its receipt, or a sentence about why there is none."""

    index: int
    image: Image.Image | None
    receipt: Receipt | None
    failure: str = ""

    @property
    def unusable(self) -> str:
        """Why there is nothing here that could be scored, a sentence; "" if there is."""
        if self.image is None or self.receipt is None:
            return self.failure
        return OUT_OF_RANGE if OUT_OF_RANGE in self.receipt.notices else ""


class Maker(Protocol):
    """Makes pictures of recipes, in any order, each exactly once."""

    def __call__(self, recipes: Sequence[Recipe]) -> Iterator[Made]: ...


def make(maker: Maker, todo: dict[int, Recipe]) -> Iterator[Made]:
    """Make recipes under their indices; if one breaks off the rest, each is made by itself, so that only that one is told."""
    indices, left = list(todo), dict(todo)
    try:
        for made in maker(list(todo.values())):
            index = indices[made.index]
            del left[index]
            yield replace(made, index=index)
    except NegativaError as error:
        if len(todo) == 1:
            yield Made(indices[0], None, None, str(error))
            return
        for index, recipe in left.items():
            yield from make(maker, {index: recipe})


class Here:
    """Makes pictures in this process, with one studio for each model, loaded when first needed.

    `loading` are arguments of `negativa.load`. Each call lets go of the models that none of its recipes is waiting for, but
    for the last one.
    """

    def __init__(self, **loading: Unpack[Loading]) -> None:
        self._loading = loading
        self._studios: dict[str, Studio] = {}

    def studio(self, model: str | None) -> Studio:
        """The studio of a model; None is terrarium. Raises `ModelError` if it cannot be read."""
        from negativa.studio import load

        name = model or "terrarium"
        if name not in self._studios:
            self._studios[name] = load(name, **self._loading)
        return self._studios[name]

    def __call__(self, recipes: Sequence[Recipe]) -> Iterator[Made]:
        """The pictures, model after model, as they finish; a recipe that cannot be carried out is told, not raised."""
        models: dict[str, dict[int, Recipe]] = {}
        for i, recipe in enumerate(recipes):
            models.setdefault(recipe.model or "terrarium", {})[i] = recipe
        while models:
            self._studios = {name: studio for name, studio in self._studios.items() if name in models}
            name = next(iter(models))
            yield from self._made(name, models.pop(name))

    def _made(self, model: str, recipes: dict[int, Recipe]) -> Iterator[Made]:
        """The pictures of one model, under their indices."""
        try:
            studio = self.studio(model)
        except NegativaError as error:
            yield from (Made(i, None, None, str(error)) for i in recipes)
            return
        sound: dict[int, Recipe] = {}
        for i, recipe in recipes.items():
            try:
                studio.complete(recipe)
                sound[i] = recipe
            except NegativaError as error:
                yield Made(i, None, None, str(error))
        yield from make(partial(_drawn, studio), sound)


def _drawn(studio: Studio, recipes: Sequence[Recipe]) -> Iterator[Made]:
    return (Made(one.index, one.image, one.receipt) for one in studio.generate_many(recipes))
