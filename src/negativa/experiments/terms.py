"""The terms of a negative, and the arms that tell which of them do the work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, log2

from negativa.errors import InputError
from negativa.experiments.tables import check_each_once
from negativa.language.prompting import split_and, split_commas
from negativa.plain.conditions import Negative
from negativa.plain.recipe import Recipe

Terms = tuple[str, ...]


@dataclass(frozen=True)
class Ablation:
    """What is compared: a recipe without a negative, the terms of one, and seeds; `whole` has their weight and window."""

    recipe: Recipe
    terms: Terms
    seeds: tuple[int, ...]
    whole: Negative

    @property
    def arms(self) -> tuple[Terms, ...]:
        """The distinct arms, each by the terms it keeps: none, the whole, each alone, each left out."""
        alone = [(term,) for term in self.terms]
        return tuple(dict.fromkeys([(), self.terms, *alone, *map(self.without, self.terms)]))

    @property
    def comparisons(self) -> int:
        """How many pairs of arms are compared; of a single term the whole, it alone and without it are one."""
        return 1 + 2 * len(self.terms) if len(self.terms) > 1 else 1

    @property
    def pictures(self) -> int:
        """How many pictures the arms take."""
        return len(self.arms) * len(self.seeds)

    @property
    def pictures_to_minimise(self) -> int:
        """How many more a search takes at most."""
        return (ceil(log2(len(self.terms))) + len(self.terms)) * len(self.seeds) if len(self.terms) > 3 else 0

    def without(self, term: str) -> Terms:
        """All terms but one."""
        return tuple(one for one in self.terms if one != term)

    def at(self, terms: Terms, seed: int) -> Recipe:
        """The recipe of an arm with a seed; terms stand in one negative, in the order they were given in."""
        return self.recipe.replace(negative=replace(self.whole, condition=", ".join(terms)) if terms else None, seed=seed)


def lay_ablation(prompt: str | Recipe, negative: str | Negative, seeds: Sequence[int]) -> tuple[Ablation, tuple[str, ...]]:
    """What is to be compared, and sentences about empty or repeated terms, which are merged, and about a weight of all.

    Terms are what stands between commas outside brackets. Raises `InputError` if there is none, fewer than two seeds, one
    twice, the recipe has a negative already, or the text has AND or a weight at its end, which belong to no term.
    """
    recipe = prompt if isinstance(prompt, Recipe) else Recipe(prompt)
    if recipe.negative:
        raise InputError("negative: the recipe has one already; allowed: a recipe without")
    whole = negative if isinstance(negative, Negative) else Negative(negative)
    if recipe.syntax == "a1111" and split_and(whole.text) != [(whole.text, 1.0)]:
        raise InputError(
            f"negative: {whole.text!r} has AND, or a weight at its end, which belong to no term; "
            "allowed: terms with commas between, each with its weight in brackets, as in (hat:0.5)"
        )
    given = [" ".join(term.split()) for term in split_commas(whole.text)]
    terms: dict[str, str] = {}
    for term in filter(None, given):
        terms.setdefault(term.casefold(), term)
    if not terms:
        raise InputError(f"negative: {whole.label} was given; allowed: terms with commas between")
    notices = [f"negative: {empty} empty term{'s' * (empty > 1)} left out"] if (empty := given.count("")) else []
    for key, term in terms.items():
        if (count := sum(one.casefold() == key for one in given)) > 1:
            notices.append(f"negative: {term!r} was given {count} times; it is taken once")
    if whole != Negative(whole.condition):
        notices.append(f"negative: every arm has it with weight {whole.weight:g}, from {whole.start:g} to {whole.stop:g}")
    if len(seeds) < 2:
        raise InputError(f"seeds: {len(seeds)} given; allowed: two or more, since arms are compared over seeds")
    check_each_once("seed", seeds)
    return Ablation(recipe, tuple(terms.values()), tuple(seeds), whole), tuple(notices)
