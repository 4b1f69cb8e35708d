"""The rules by name."""

from __future__ import annotations

from typing import Final

from negativa.errors import InputError, nearest
from negativa.plain.recipe import Recipe
from negativa.rules.cfg import ClassifierFree
from negativa.rules.none import Unguided
from negativa.rules.rule import Memory, Predictions, Rule
from negativa.rules.window import Window

RULES: Final[dict[str, type]] = {
    "none": Unguided,
    "cfg": ClassifierFree,
}


def build(recipe: Recipe) -> Rule:
    """The rule that a recipe names, with the recipe's knobs and window.

    Raises `InputError` for an unknown name.
    """
    if recipe.rule not in RULES:
        raise InputError(f"rule: there is no rule {recipe.rule!r}; {nearest(recipe.rule, RULES)}")
    kind = RULES[recipe.rule]
    rule = kind(**{name: getattr(recipe, name) for name in kind.__dataclass_fields__})
    start, stop = recipe.window
    return rule if (start, stop) == (0, 1) else Window(rule, start, stop)


__all__ = ["RULES", "ClassifierFree", "Memory", "Predictions", "Rule", "Unguided", "Window", "build"]
