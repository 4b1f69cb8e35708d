"""Recipes in, pictures and receipts out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from negativa import rules
from negativa.errors import InputError
from negativa.plain.conditions import EMPHASIS
from negativa.plain.recipe import Recipe
from negativa.plain.samplers import USUAL, evaluations
from negativa.sampling.budget import FixedRows, RowBudget
from negativa.sampling.engine import Engine
from negativa.sampling.networks import Networks
from negativa.sampling.steps import check_steps, predicted, samplers_on
from negativa.sampling.walk import Walk, walk
from negativa.studio.finishing import Ended, Finishing, Result

if TYPE_CHECKING:
    from negativa.denoisers.denoiser import Denoiser


@dataclass(frozen=True)
class Stepped:
    """The picture of recipe number `index` has taken `step` of `steps` evaluations of the network."""

    index: int
    step: int
    steps: int


class Studio:
    """A loaded model and the engine that runs recipes on it; `load` makes one. Threads may share it: calls take turns."""

    def __init__(
        self,
        denoiser: Denoiser,
        reproducible: bool = False,
        merge: bool = True,
        opening: Callable[[str], Denoiser] | None = None,
    ) -> None:
        self.denoiser = denoiser
        self._networks = Networks(denoiser, opening)
        self.engine = Engine(self._networks.predict, FixedRows if reproducible else RowBudget, merge)
        self._finishing = Finishing(denoiser, self._networks, reproducible)
        self._under_way = 0  # walks
        self._check_steps = cache(lambda name, steps, *size: check_steps(name, denoiser.schedule(*size), steps))

    @property
    def network_seconds(self) -> float:
        """Seconds spent inside the model's networks so far."""
        return self.engine.network_seconds + self._finishing.seconds

    def generate(self, recipe: Recipe) -> Result:
        """The picture of one recipe. Raises `InputError` if this model cannot carry it out."""
        return next(self.generate_many([recipe]))

    def generate_many(self, recipes: Iterable[Recipe]) -> Iterator[Result]:
        """The pictures of many recipes, as they finish; equal work is done once, the rest side by side.

        A list or tuple is checked before work begins. Raises `InputError` for a recipe that cannot be carried out.
        """
        return (event for event in self.stream(recipes) if isinstance(event, Result))

    def stream(self, recipes: Iterable[Recipe]) -> Iterator[Stepped | Result]:
        """Like `generate_many`, and tells of every step on the way."""
        if not isinstance(recipes, Iterable):
            raise InputError(f"recipes: {recipes!r:.80} was given; allowed: several, as [recipe]")
        complete = map(self.complete, recipes)
        if isinstance(recipes, list | tuple):
            complete = iter(list(complete))
        kept: dict[int, Recipe] = {}

        def walks() -> Iterator[tuple[int, Walk]]:
            for index, recipe in enumerate(complete):
                kept[index] = recipe
                self._count(1)
                size = recipe.width or 0, recipe.height or 0
                yield index, walk(recipe, self.denoiser.shape(*size), self.denoiser.schedule(*size), self.room(recipe))

        try:
            for stepped in self.engine.run(walks()):
                for one in stepped:
                    recipe = kept[one.key]
                    yield Stepped(one.key, one.taken, evaluations(recipe.sampler or USUAL, recipe.steps))
                ended = [Ended(kept[one.key], one, one.latents) for one in stepped if one.latents is not None]
                for call in self._finishing.calls(ended):
                    with self.engine.alone:
                        made = self._finishing.results(call)
                    for result in made:
                        del kept[result.index]
                    self._count(-len(made))
                    yield from made
        finally:
            self._count(-len(kept))

    def complete(self, recipe: Recipe) -> Recipe:
        """The recipe with this model's name, scales, nothing, sampler and size where it leaves them open.

        Raises `InputError` for a rule, sampler, model or size that this studio does not have.
        """
        if not isinstance(recipe, Recipe):
            raise InputError(f"recipe: {recipe!r:.80} was given; allowed: a Recipe")
        if recipe.model not in (None, self.denoiser.name):
            raise InputError(f"model: {recipe.model!r} was given; this studio has {self.denoiser.name!r}")
        mine, multiple = self.denoiser, self.denoiser.multiple
        scale = mine.scale if rules.has_scale(recipe) else None
        own = {"model": mine.name, "scale": scale, "nothing": mine.nothing, "width": mine.size, "height": mine.size}
        own |= {"emphasis": EMPHASIS[recipe.syntax], "sampler": self._sampler(recipe), "distilled_scale": mine.distilled_scale}
        recipe = recipe.replace(**{name: value for name, value in own.items() if getattr(recipe, name) is None})
        self._check_steps(recipe.sampler or USUAL, recipe.steps, recipe.width, recipe.height)
        with self.engine.alone:
            if not self._under_way:
                self._networks.refresh()
            self._networks.check(recipe)
        for field in ("width", "height"):
            if (value := getattr(recipe, field)) % multiple:
                raise InputError(f"{field}: {value} was given; allowed: multiples of {multiple}")
            if value > mine.largest:
                raise InputError(f"{field}: {value} was given; allowed with {mine.name!r}: at most {mine.largest}")
        return recipe

    def _count(self, walks: int) -> None:
        """More walks are under way, or fewer; what they read of files stays as it is until the last has ended."""
        with self.engine.alone:
            self._under_way += walks

    def _sampler(self, recipe: Recipe) -> str:
        """What samples a recipe that leaves it open: the usual one, or the first of its rule's that runs on this model.

        Raises `InputError` for a rule that has none.
        """
        mine = self.denoiser
        if allowed := [name for name in rules.samplers_of(recipe) if name in samplers_on(mine.scheduler)]:
            return USUAL if USUAL in allowed else allowed[0]
        what = predicted(mine.scheduler)
        raise InputError(
            f"rule: {recipe.rule!r} was given; it does not run on models that predict {what}, as {mine.name!r} does"
        )

    def room(self, recipe: Recipe) -> int:
        """How many chunks of the encoder's own length the texts of a complete recipe take, those of the longest."""
        with self.engine.alone:
            return self._networks.room(recipe)
