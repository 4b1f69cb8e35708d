"""The passes that a recipe's texts stand for, by name, step by step.

A text box may say several things at once ("a fox AND snow:0.5") and different things at different steps ("[oak:pine:0.5]").
Several clauses are a blend of predictions,

    c = b + sum_i w_i (c_i - b)

where b is what a clause is measured from: nothing for a negative; for the prompt what the rule moves away from (`start_of`),
under cfg what the negatives make of nothing, as in AUTOMATIC1111's web UI. Parts of a weight below zero go into a patch. What a
negative keeps is a clause of weight -1.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final

from negativa.errors import InputError
from negativa.language.prompting import Clause, is_scheduled, read
from negativa.plain.conditions import EMPHASIS, Nothing, Words
from negativa.plain.passes import NOTHING, POSITIVE, WEAKER, WORSE, Moment, Pass, Patch, negative
from negativa.plain.recipe import Recipe
from negativa.rules.baseline import baseline, baseline_passes, sums_to_one

FLIP: Final = (("strength", 1.0), ("offset", 0.0))  # as the extension NegPiP reads weights below zero
OURS: Final = (POSITIVE, WORSE, WEAKER)  # the names of the prompt's passes
Blend = tuple[tuple[Pass, float], ...]  # passes with their weights; nearly always one, of weight 1


def passes_of(recipe: Recipe, step: int = 0) -> dict[str, Blend]:
    """Every pass that a rule may ask for at a step, by name, without its pictures; no word is the recipe's kind of nothing."""
    return dict(_passes(unseeded(recipe), step if is_scheduled_at_all(recipe) else 0))


@lru_cache(maxsize=1024)
def unseeded(recipe: Recipe) -> Recipe:
    """The recipe with a seed that all share: what does not depend on the seed is worked out once for it."""
    return recipe.replace(seed=0)


def is_scheduled_at_all(recipe: Recipe) -> bool:
    """Whether any text of a recipe may change from step to step."""
    return _scheduled(recipe.syntax, recipe.prompt, *(one.text for one in recipe.negative))


def patched(named: Mapping[str, Blend], patches: Mapping[str, Patch]) -> dict[str, Blend]:
    """The passes with a rule's patches, which name passes where conditions are meant.

    Raises `InputError` for a part of a weight below zero where the rule reads a negative whole.
    """
    changed = dict(named)
    for name, patch in patches.items():
        read_too = [(one, weight * share) for other, weight in patch.against for one, share in named[str(other)]]
        if any(one.patches for one, _ in read_too):
            raise InputError(f"negative: a part has a weight below zero; {patch.name!r} reads negatives whole")
        rows = patch.rows * len(read_too) // len(patch.against) if patch.against else patch.rows
        whole = replace(patch, against=tuple((one.condition, weight) for one, weight in read_too), rows=rows)
        changed[name] = tuple((replace(one, patches=(*one.patches, whole)), weight) for one, weight in named[name])
    return changed


def needed(names: Collection[str], named: Mapping[str, Blend], start: Moment) -> dict[str, Blend]:
    """What stands behind names, and behind those that their blends are measured from."""
    found: dict[str, Blend] = {}
    for name in names:
        found[name] = named[name]
        if not sums_to_one(weight for _, weight in named[name]):
            found |= needed(_measured_from(name, start), named, start)
    return found


def asked(names: Collection[str], named: Mapping[str, Blend], start: Moment) -> dict[str, Pass]:
    """The single passes behind names, those of blends numbered, and those that blends are measured from."""
    blends = needed(names, named, start).items()
    return {key: one for name, blend in blends for key, (one, _) in zip(_keys(name, blend), blend, strict=True)}


def blended(name: str, named: Mapping[str, Blend], predictions: Mapping[str, Any], start: Moment) -> Any:
    """The prediction of a name, from those of its single passes; `start` is what the prompt's clauses are measured from."""
    blend = named[name]
    if len(blend) == 1 and blend[0][1] == 1:
        return predictions[name]
    pairs = zip(_keys(name, blend), blend, strict=True)
    mixed = sum(weight * predictions[key] for key, (_, weight) in pairs)
    if sums_to_one(weight for _, weight in blend):
        return mixed
    from_ = {one: blended(one, named, predictions, start) for one in _measured_from(name, start)}
    base = baseline(from_, start) if name in OURS else from_[NOTHING]
    return mixed + (1 - sum(weight for _, weight in blend)) * base


@lru_cache(maxsize=1024)
def _passes(recipe: Recipe, step: int) -> tuple[tuple[str, Blend], ...]:
    nothing = Nothing(recipe.nothing or "empty")
    loras, theirs = (tuple(one for one in some if one[1] != 0) for some in (recipe.loras, recipe.weaker_loras))
    common: dict[str, Any] = {"loras": loras, "distilled_scale": recipe.distilled_scale}
    other = recipe.weaker if isinstance(recipe.weaker, str) else None

    def blend(field: str, text: str) -> Blend:
        clauses = read(text, recipe.syntax, step, recipe.steps)
        return tuple((replace(_pass(field, one, recipe, nothing), **common), one.weight) for one in clauses)

    positive = blend("prompt", recipe.prompt)
    weaker = tuple((replace(one, model=other, loras=theirs), weight) for one, weight in positive)
    named = [(POSITIVE, positive), (WORSE, positive), (WEAKER, weaker), (NOTHING, ((Pass(nothing, **common), 1.0),))]
    kept = ((Pass(nothing, **common), -1.0),)  # without the pictures, as all passes here are
    away = (blend("negative", one.text) + (kept if one.keep else ()) for one in recipe.negative)
    return (*named, *((negative(i), one) for i, one in enumerate(away)))


def _pass(field: str, clause: Clause, recipe: Recipe, nothing: Nothing) -> Pass:
    """The pass of a clause, its parts of weights below zero in a patch."""
    chunks = tuple(tuple(part for part in chunk if part[1] >= 0) for chunk in clause.chunks)
    below = [(text.strip(" ,"), weight) for chunk in clause.chunks for text, weight in chunk if weight < 0]
    if any(not text for text, _ in below):
        raise InputError(f"{field}: a weight below zero stands without a word; allowed: (word:-1)")
    flipped = tuple((Words(text, embeddings=recipe.embeddings), -weight) for text, weight in below)
    patches = (Patch("flip", FLIP, flipped),) if flipped else ()
    texts = [text for chunk in chunks for text, _ in chunk]
    if not "".join(texts).strip():
        return Pass(nothing, patches)
    plain = len(chunks) == 1 and all(weight == 1 for _, weight in chunks[0])
    emphasis = recipe.emphasis or EMPHASIS[recipe.syntax]
    words = Words("".join(texts)) if plain else Words(" ".join(texts), chunks, emphasis)
    return Pass(replace(words, embeddings=recipe.embeddings), patches)


@lru_cache(maxsize=1024)
def _scheduled(syntax: str, *texts: str) -> bool:
    return any(is_scheduled(text, syntax) for text in texts)


def _keys(name: str, blend: Blend) -> list[str]:
    return [name] if len(blend) == 1 else [f"{name}, clause {i}" for i in range(len(blend))]


def _measured_from(name: str, start: Moment) -> tuple[str, ...]:
    return baseline_passes(start) if name in OURS else (NOTHING,)
