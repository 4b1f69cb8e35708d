"""`--like`: the recipe of a picture, with what was typed in its place."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from negativa.apps.cli.screen import say
from negativa.plain.conditions import EMPHASIS
from negativa.plain.recipe import Recipe

if TYPE_CHECKING:
    from negativa.plain.receipt import Receipt

MODEL: Final = ("Model", "Model hash")
DAMAGED: Final = "notice: what {} says of itself is damaged; its 'parameters' text is read, which holds less"


def recipe_like(picture: Path, given: Mapping[str, Any], typed: bool) -> Recipe:
    """The recipe of a picture with the fields that are `given`; what is not carried over is said.

    The negatives that are given replace the picture's if one was `typed`, else they come after them. Knobs are put over the
    picture's, which are dropped under another rule. A seed that the picture does not say is drawn by lot. Raises `InputError`
    if the picture cannot be read, or holds no usable value for a field that is not given.
    """
    from negativa.language import pictures
    from negativa.rules import samplers_of

    made = pictures.read(picture)
    if made.damaged:
        say(DAMAGED.format(picture))
    settings = {} if made.receipt is not None else made.infotext.settings
    changes = {name: value for name, value in given.items() if name != "knobs" and (name != "negative" or typed)}
    if made.receipt is None and "Seed" not in settings:
        changes = {"seed": secrets.randbelow(2**32)} | changes
    recipe = made.changed(**changes)
    if "syntax" in given and "emphasis" not in given and recipe.emphasis == EMPHASIS.get(made.syntax):
        recipe = recipe.replace(emphasis=None)  # as it was the other syntax's own
    if "rule" in given and recipe.sampler and "sampler" not in given and recipe.sampler not in samplers_of(recipe):
        say(f"notice: not carried over to the rule {recipe.rule!r}: the sampler {recipe.sampler}")
        recipe = recipe.replace(sampler=None)  # so that the rule's own is taken
    known = MODEL if "model" in given or settings.get("Model") == "terrarium" else ()
    if made.receipt is None and (unused := [key for key in made.infotext.unused() if key not in known]):
        say(f"notice: not carried over from {picture}: {', '.join(unused)}")
    if not typed:
        new = (one for one in given.get("negative", ()) if one not in recipe.negative)
        recipe = recipe.replace(negative=(*recipe.negative, *new))
    return recipe.replace(knobs=_knobs(made.rule, recipe) | given.get("knobs", {}))


def made_with(picture: Path) -> dict[tuple[str, str], str]:
    """What stood behind the names in a picture's recipe when it was made; nothing where it does not say."""
    from negativa.experiments.fairness import RUN, facts
    from negativa.language import pictures

    try:
        return {of: one for of, one in facts(pictures.read(picture).receipt or {}).items() if of[0] not in RUN}
    except (KeyError, TypeError, AttributeError):  # an older receipt, or one that was edited
        return {}


def otherwise(picture: Path, before: Mapping[tuple[str, str], str], receipt: Receipt) -> tuple[str, ...]:
    """Sentences about names that stand for something else now than when the picture was made, `before`."""
    from negativa.experiments.fairness import facts

    now = facts(receipt.to_dict())
    return tuple(
        f"{field}: {picture} was made with {one} of {name!r}, now it is {now[field, name]}"
        for (field, name), one in before.items()
        if now.get((field, name), one) != one
    )


def _knobs(before: str, recipe: Recipe) -> dict[str, float]:
    """The knobs of a picture that was made under the rule `before`, as far as a recipe has them still."""
    if not recipe.knobs or before.partition(":")[0] == recipe.rule.partition(":")[0]:
        return dict(recipe.knobs)
    dropped = ", ".join(f"{name}={value:g}" for name, value in recipe.knobs)
    say(f"notice: not carried over from the rule {before!r} to {recipe.rule!r}: {dropped}")
    return {}
