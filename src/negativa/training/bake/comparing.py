"""What was baked beside what it stands for, and beside a placebo: the same prompts and seeds in every arm, in turns."""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from negativa import terrarium
from negativa.plain.recipe import Recipe
from negativa.studio import Result, Studio
from negativa.terrarium.canvas import SIZE
from negativa.training.bake.goal import Goal
from negativa.training.progress import Progress

TURN: Final = 32  # pictures that an arm draws before it is the next one's turn

Changed = Callable[[Recipe], Recipe]


@dataclass(frozen=True)
class Arm:
    """What is drawn in the place of a recipe, and the arm that its pictures are measured from, the first if None."""

    change: Changed
    like: str | None = None


@dataclass(frozen=True)
class Figure:
    """What an arm is like.

    `rows` of the network a picture, and seconds a picture in each of its turns, `times`; `distance` is the mean over pictures
    of |x - y| / |y|, x its latents, y those of the arm `like`; `presence` is how often terrarium's reader finds each
    attribute, from 0 to 1.
    """

    arm: str
    rows: float
    times: tuple[float, ...]
    distance: float
    like: str
    presence: Mapping[str, float] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """Seconds a picture, the median of the turns."""
        return statistics.median(self.times)

    def share_of_time(self, other: Figure) -> float:
        """Its time as a share of another's: the median over the turns, in each of which both had the same pictures."""
        return statistics.median(mine / theirs for mine, theirs in zip(self.times, other.times, strict=True))


def arms_of(goal: Goal, lora: Path | None) -> dict[str, Arm]:
    """What each arm draws in the place of the recipe that a goal walks by.

    `lora` is the file of what was baked, None if it is in the weights themselves.
    """

    def with_lora(weight: float, like: str | None = None) -> Arm:
        loras = () if lora is None else ((lora, weight),)
        if goal.kind == "negative":
            return Arm(lambda recipe: recipe.replace(negative=(), scale=None, rule="none", loras=loras), like)
        return Arm(lambda recipe: recipe.replace(loras=loras), like)

    match goal.kind:
        case "negative":
            arms = {"two passes": Arm(lambda recipe: recipe), "baked": with_lora(1.0), "placebo": with_lora(0.0)}
            if goal.any_scale:
                half = "two passes, half the way from scale 1"
                arms |= {half: Arm(lambda recipe: recipe.replace(scale=(1 + (recipe.scale or 1)) / 2))}
                arms |= {"baked, at weight 0.5": with_lora(0.5, half)}
            return arms
        case "erase":
            return {"placebo": with_lora(0.0), "erased": with_lora(1.0)}
        case "slider":
            return {"weight 0": with_lora(0.0), "weight 1": with_lora(1.0), "weight -1": with_lora(-1.0)}


def attributes_of(text: str, model: str) -> list[str]:
    """The attributes that terrarium's reader knows among the words of a text; none for other models."""
    if model != "terrarium":
        return []
    return [name for name in terrarium.ATTRIBUTES if re.search(rf"\b{re.escape(name)}\b", text, re.IGNORECASE)]


def compare(
    arms: Mapping[str, tuple[Studio, Arm]], recipes: Sequence[Recipe], attributes: Sequence[str]
) -> Generator[Progress, None, list[Figure]]:
    """Draw the recipes in every arm, and tell of it. Recipes are complete."""
    order = list(arms.items())
    drawn: dict[str, list[Result]] = {name: [] for name in arms}
    times: dict[str, list[float]] = {name: [] for name in arms}
    for studio, arm in arms.values():
        studio.generate(arm.change(recipes[0]))  # the first picture is slow, and not counted
    for turn, begin in enumerate(range(0, len(recipes), TURN)):
        first = turn % len(order)  # each in its turn, as what comes later finds texts that are encoded already
        for name, (studio, arm) in order[first:] + order[:first]:
            started = time.perf_counter()
            made = list(studio.generate_many([arm.change(one) for one in recipes[begin : begin + TURN]]))
            times[name].append((time.perf_counter() - started) / len(made))
            drawn[name] += sorted(made, key=lambda one: one.index)
        yield Progress("compare", min(begin + TURN, len(recipes)), len(recipes))
    likes = {name: arm.like or next(iter(arms)) for name, (_, arm) in arms.items()}
    return [
        Figure(
            arm=name,
            rows=_mean([one.receipt.rows_asked for one in mine]),
            times=tuple(times[name]),
            distance=_mean(
                [
                    float((one.latents - like.latents).norm() / like.latents.norm())
                    for one, like in zip(mine, drawn[likes[name]], strict=True)
                ]
            ),
            like=likes[name],
            presence=_presence(mine, attributes),
        )
        for name, mine in drawn.items()
    ]


def card(title: str, figures: Sequence[Figure], count: int, about: Mapping[str, object]) -> str:
    """The figures as a page of Markdown."""
    names = list(figures[0].presence)
    heads = ["arm", "rows a picture", "seconds a picture", f"distance from {figures[0].arm}", *names]
    lines = [f"# {title}", "", "| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for one in figures:
        shares = [f"{one.presence[name]:.0%}" for name in names]
        other = "" if one.like == figures[0].arm else f" from {one.like}"
        cells = [one.arm, f"{one.rows:g}", f"{one.seconds:.3f}", f"{one.distance:.3f}{other}", *shares]
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", f"{count} pictures an arm, the same prompts and seeds in each, drawn in turns of {TURN}."]
    lines += ["Seconds are the median of the turns; the distance is that of latents, relative to their norm."]
    if names:
        lines += ["A share is of the pictures in which terrarium's reader finds the attribute."]
    return "\n".join([*lines, "", *(f"- {name}: {value}" for name, value in about.items()), ""])


def _presence(mine: Sequence[Result], attributes: Sequence[str]) -> dict[str, float]:
    if not attributes or any(one.image.size != (SIZE, SIZE) for one in mine):
        return {}
    found = [terrarium.read(one.image) for one in mine]
    return {name: _mean([one[name] > 0.5 for one in found]) for name in attributes if name in found[0]}


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
