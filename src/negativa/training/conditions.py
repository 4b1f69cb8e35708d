"""What a text says where it is learned from: one condition of one pass."""

from __future__ import annotations

from negativa.errors import InputError
from negativa.plain.conditions import Condition
from negativa.plain.passes import POSITIVE
from negativa.plain.recipe import Recipe
from negativa.sampling.passes import is_scheduled_at_all, passes_of


def condition_of(field: str, text: str, like: Recipe | None = None) -> Condition:
    """What a text is as one condition of one pass. Raises `InputError` for one that is several, or changes on the way."""
    recipe = (like or Recipe()).replace(prompt=text, negative=())
    blend = passes_of(recipe)[POSITIVE]
    if len(blend) != 1 or blend[0][1] != 1 or blend[0][0].patches or is_scheduled_at_all(recipe):
        raise InputError(f"{field}: {text!r:.80} is more than one condition; allowed: no AND, schedules or weights below zero")
    return blend[0][0].condition
