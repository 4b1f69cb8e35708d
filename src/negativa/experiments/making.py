"""Making the pictures of an experiment, wherever that happens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Protocol

from negativa.errors import NegativaError
from negativa.plain.receipt import Receipt
from negativa.plain.recipe import Recipe

if TYPE_CHECKING:
    from PIL import Image

    from negativa.studio import Studio


@dataclass(frozen=True)
class Made:
    """What became of recipe number `index`: a picture and its receipt, or a sentence about why there is none."""

    index: int
    image: Image.Image | None
    receipt: Receipt | None
    failure: str = ""


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
    """Makes pictures in this process, with one studio for each model, loaded when first needed."""

    def __init__(self, device: str | None = None, dtype: str | None = None, reproducible: bool = False) -> None:
        self._settings = {"device": device, "dtype": dtype, "reproducible": reproducible}
        self._studios: dict[str, Studio] = {}

    def studio(self, model: str | None) -> Studio:
        """The studio of a model; None is terrarium. Raises `ModelError` if it cannot be read."""
        from negativa.studio import load

        name = model or "terrarium"
        if name not in self._studios:
            self._studios[name] = load(name, **self._settings)  # type: ignore[arg-type]
        return self._studios[name]

    def __call__(self, recipes: Sequence[Recipe]) -> Iterator[Made]:
        """The pictures, model after model, as they finish; a recipe that cannot be carried out is told, not raised."""
        for model in dict.fromkeys(recipe.model for recipe in recipes):
            mine, sound = [i for i, recipe in enumerate(recipes) if recipe.model == model], dict[int, Recipe]()
            try:
                studio = self.studio(model)
            except NegativaError as error:
                yield from (Made(i, None, None, str(error)) for i in mine)
                continue
            for i in mine:
                try:
                    studio.complete(recipes[i])
                    sound[i] = recipes[i]
                except NegativaError as error:
                    yield Made(i, None, None, str(error))
            yield from make(partial(_drawn, studio), sound)


def _drawn(studio: Studio, recipes: Sequence[Recipe]) -> Iterator[Made]:
    return (Made(one.index, one.image, one.receipt) for one in studio.generate_many(recipes))
