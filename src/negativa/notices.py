"""What in a recipe has no effect on a model, or is cut: said in sentences, never passed over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Final

from negativa import rules
from negativa.language import prompting
from negativa.language.checks import said_of_texts
from negativa.plain.conditions import EMPHASIS, Nothing, text_of
from negativa.plain.passes import NOTHING, POSITIVE, WEAKER, Moment, Pass, negative
from negativa.plain.recipe import Recipe
from negativa.plain.windows import inside
from negativa.rules.rule import Rule
from negativa.sampling.hearing import alike, heard, matters
from negativa.sampling.networks import schedule_of
from negativa.sampling.passes import Blend, passes_of
from negativa.sampling.stages import asked_of, images_of, moments, texts_of

if TYPE_CHECKING:
    from negativa.denoisers.denoiser import Denoiser


USUAL: Final = Recipe().rule


def said_of(recipe: Recipe, denoiser: Denoiser) -> tuple[str, ...]:
    """Sentences about what in a recipe has no effect on this model, or is cut."""
    schedule, named = schedule_of(recipe, denoiser), passes_of(recipe)
    asked = asked_of(recipe, schedule)
    pictures = any(images_of(one) for passes in asked.values() for one in passes)
    rule, seen = rules.build(recipe), moments(recipe, schedule)
    acting = heard(rule, seen)
    said: list[str] = []
    for i, one in enumerate(recipe.negative):
        if negative(i) not in acting:
            said.append(f"the negative {one.label} has no effect: {_why_inert(recipe, i)}")
        elif one.text and all(map(_reads_nothing, asked[negative(i)])):
            said.append(f"the negative {one.label} says nothing: it holds no words")
        elif _same(named, asked, negative(i), POSITIVE) and len(recipe.negative) == 1 and (one.weight == 1 or not one.text):
            said.append(f"the negative {one.label} equals the prompt: {_when_equal(recipe)}")
    for one in recipe.images:
        if not any(one.acts_at(step, recipe.steps) for step in range(recipe.steps)):
            why = "its weight is 0" if one.weight == 0 else _no_step(recipe, one.start, one.stop)
            said.append(f"the image {one.name!r} has no effect: {why}")
    if (recipe.prompt or recipe.images) and not _follows(rule, seen, asked):
        stands = "" if recipe.scale is None else f" at scale {recipe.scale:g}"
        said.append(f"the prompt has no effect: the rule {recipe.rule!r} does not hear it{stands}")
    if not recipe.negative and _acts_on_negatives_alone(recipe, seen):
        said.append(f"the rule {recipe.rule!r} acts on negatives alone, and there is none: it draws what {USUAL!r} draws")
    if recipe.window != (0, 1) and not recipe.negative:
        said.append("window: there is no negative that it could bound; it has no effect")
    said += [f"the LoRA {file!r} has no effect: its weight is 0" for file, weight in recipe.loras if weight == 0]
    said += [f"embeddings: no text says a word of {file!r}; it has no effect" for file in _unsaid(recipe, denoiser)]
    said += [f"embeddings: there is no embedding file in {folder!r}; it has no effect" for folder in _empty(recipe)]
    weighted = any(weight != 1 for _, words in texts_of(recipe) for chunk in words.chunks for _, weight in chunk)
    if recipe.emphasis not in (None, EMPHASIS[recipe.syntax]) and not weighted:
        said.append(f"emphasis: no text has weights; {recipe.emphasis!r} has no effect")
    if recipe.no_image != "trained" and not pictures:
        said.append(f"no_image: no pass reads an image; {recipe.no_image!r} has no effect")
    if recipe.nothing not in (None, denoiser.nothing) and not any(map(_reads_nothing, chain.from_iterable(asked.values()))):
        said.append(f"nothing: every pass reads a text; {recipe.nothing!r} has no effect")
    if recipe.distilled_scale is not None and denoiser.distilled_scale is None:
        why = f"{denoiser.name!r} was not distilled from guidance"
        said.append(f"distilled_scale: {why}; {recipe.distilled_scale:g} has no effect")
    for field, words in texts_of(recipe):
        if unread := denoiser.unread(words):
            said.append(f"{field}: the text is longer than the model reads; cut: {_shorten(unread)}")
        said += [f"{field}: it names an embedding that could not be read: {why}" for why in denoiser.unreadable(words)]
        for token in denoiser.unknown(words):
            said.append(f"{field}: the model does not know the token {token!r} and reads it as ordinary pieces")
    texts = [("prompt", recipe.prompt), *(("negative", one.text) for one in recipe.negative)]
    said += [one for field, text in texts for one in prompting.notices(field, text, recipe.syntax, recipe.steps)]
    said += said_of_texts(
        recipe.prompt, [one.text for i, one in enumerate(recipe.negative) if one.text and negative(i) in acting]
    )
    if recipe.weaker is not None and WEAKER not in asked:
        said.append(f"weaker: the rule {recipe.rule!r} moves away from no other model; {recipe.weaker!r} has no effect")
    if (worse := getattr(rules.kind_of(recipe), "worse", None)) and worse not in asked:
        said.append(
            f"the rule {recipe.rule!r} moves away from nothing worse at any step, as its scale, knobs and wrappers stand"
        )
    elif WEAKER in asked:
        absent = (file for file, weight in recipe.weaker_loras if weight == 0)
        said += [f"weaker: the LoRA {file!r} has weight 0: what is moved away from is this model without it" for file in absent]
        if set(asked[WEAKER]) <= set(asked[POSITIVE]) or recipe.weaker == denoiser.name:
            said.append(f"weaker: it is this model as it is; the rule {recipe.rule!r} moves away from nothing worse")
    if not rules.has_scale(recipe):
        said += [f"the rule {recipe.rule!r} has no scale: {what} has no effect" for what in _scaling(recipe)]
    elif set(asked) == {POSITIVE} and recipe.scale != 1:
        said.append(
            "the scale has no effect: at no step does the rule guide away from anything, as its knobs and wrappers stand"
        )
    elif set(asked) == {POSITIVE, NOTHING} and not pictures and all(map(_reads_nothing, chain.from_iterable(asked.values()))):
        said.append("the prompt is empty and there is no negative: the scale has no effect")
    if set(asked) == {POSITIVE} and (recipe.scale == 1 or not rules.has_scale(recipe)):
        names = [written.partition(":")[0] for written in recipe.wrappers]
        idle = names if rules.has_scale(recipe) else [name for name in names if name != "ramp"]
        said += [f"the wrapper {name!r} has no effect: the picture follows the prompt alone" for name in idle]
    return tuple(said)


def _follows(rule: Rule, seen: tuple[Moment, ...], asked: Mapping[str, Sequence[Pass]]) -> bool:
    """Whether a pass that reads what the positive one reads changes the picture."""
    read = {one.condition for one in asked.get(POSITIVE, ())}
    return any(matters(rule, seen, name) for name, passes in asked.items() if any(one.condition in read for one in passes))


def _acts_on_negatives_alone(recipe: Recipe, seen: tuple[Moment, ...]) -> bool:
    """Whether a rule is the usual one where there is no negative, whatever the scale."""
    if recipe.rule == USUAL or not rules.has_scale(recipe):
        return False
    guided = recipe.replace(scale=2.0)
    return alike(rules.build(guided), rules.build(guided.replace(rule=USUAL, knobs={})), seen)


def _reads_nothing(one: Pass) -> bool:
    return isinstance(text_of(one.condition), Nothing)


def _unsaid(recipe: Recipe, denoiser: Denoiser) -> Iterator[str]:
    """The embedding files, folders aside, that no text of a recipe reads."""
    texts = [words for _, words in texts_of(recipe)]

    def words_of(*files: str) -> list[tuple[str, str]]:
        return [one for words in texts for one in denoiser.learned(replace(words, embeddings=files)).items()]

    return (file for file in recipe.embeddings if Path(file).is_file() and words_of(file) == words_of())


def _empty(recipe: Recipe) -> Iterator[str]:
    """The folders of embeddings that hold no file which could be one."""
    from negativa.denoisers.embeddings.files import READERS

    folders = (folder for folder in recipe.embeddings if Path(folder).is_dir())
    return (one for one in folders if not any(file.suffix.lower() in READERS for file in Path(one).rglob("*")))


def _same(named: Mapping[str, Blend], asked: Mapping[str, Sequence[Pass]], one: str, other: str) -> bool:
    """Whether two passes read the same words and pictures, but for what the rule changes inside."""
    return named[one] == named[other] and len({frozenset(p.condition for p in asked[name]) for name in (one, other)}) == 1


def _why_inert(recipe: Recipe, index: int) -> str:
    one, (start, stop) = recipe.negative[index], recipe.window
    if recipe.rule == "none":
        return "the rule 'none' takes no negatives"
    if one.weight == 0:
        return "its weight is 0"
    if recipe.scale == 1 and getattr(rules.kind_of(recipe), "from_baseline", False):
        return "at scale 1 the picture follows the prompt alone"
    start, stop = max(start, one.start), min(stop, one.stop)
    if any(inside(step, recipe.steps, start, stop) for step in range(recipe.steps)):
        return f"the rule {recipe.rule!r} does not hear it, as its knobs and wrappers stand"
    return _no_step(recipe, start, stop)


def _when_equal(recipe: Recipe) -> str:
    if getattr(rules.kind_of(recipe), "from_baseline", False):
        return "where it acts, the two cancel"
    return f"the rule {recipe.rule!r} is to draw the same and not to draw it"


def _no_step(recipe: Recipe, start: float, stop: float) -> str:
    return f"no step of {recipe.steps} lies in its window [{start:g}, {stop:g})"


def _scaling(recipe: Recipe) -> Iterator[str]:
    """What a person set in a recipe that acts on a rule's scale."""
    if recipe.scale is not None:
        yield f"the scale {recipe.scale:g}"
    if any(written.partition(":")[0] == "ramp" for written in recipe.wrappers):
        yield "the wrapper 'ramp'"


def _shorten(text: str, most: int = 60) -> str:
    return repr(text if len(text) <= most else text[: most - 1] + "…")
