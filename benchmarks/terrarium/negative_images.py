"""Pictures as negatives, measured: writes docs/negative-images.md with its sheet, and prints it.

Ends with status 1 if a bar is missed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from common import DOCS, FIRST_SEED, STEPS, Bar, Readings, draw, read, seeded, studio, write_sheet
from PIL import Image

import negativa
from negativa import Negative, Recipe
from negativa.measures import Shot
from negativa.measures.saturation import Saturation
from negativa.terrarium import paint
from negativa.terrarium.painter import SCENES
from negativa.terrarium.portrait import EYES, FACE, HAIR, SKIN

SEEDS = 100
ADAPTERS = ("base", "plus")
INTRODUCTION = """# Pictures as negatives

Written by `make negative-images`: terrarium, through both of its image adapters, {seeds} seeds from {first}, {steps} steps,
scale {scale:g}, each beside the same run without the negative.

A picture as a negative takes away all that it shows. Beside a second picture to keep, the same but for what shall go, more of
the rest stays: `--negative-image with.png --keep-image without.png`, in the library
`Negative(Image("with.png"), keep=Image("without.png"))`. The rule hears u + n - k in the place of n, where u is nothing and k
what is kept, at two passes more under cfg; a rule that acts inside attention reads k there too, with the opposite weight.
"""
IDENTITY = (*HAIR, *SKIN, *EYES, *FACE, "short hair", "long hair", "curly hair", "bald head")


@dataclass(frozen=True)
class Case:
    """A prompt and the painting that is its negative; `bound` are attributes that cannot stay as they are without `removed`.

    The negative acts from `start` of the steps on; `why` says what that is for. Where something is `removed`, it is also tried
    beside the same painting without it, which the negative keeps.
    """

    title: str
    prompt: str
    kind: str
    painted: dict[str, bool]
    removed: str = ""
    bound: tuple[str, ...] = ()
    start: float = 0.0
    why: str = ""

    @property
    def picture(self) -> Image.Image:
        return self._painted()

    @property
    def counterpart(self) -> Image.Image:
        return self._painted(**{self.removed: False})

    @property
    def ways(self) -> tuple[tuple[str, bool], ...]:
        """Through which adapter, and whether beside the counterpart."""
        return tuple((adapter, keeping) for keeping in ((False, True) if self.removed else (False,)) for adapter in ADAPTERS)

    def recipe(self, adapter: str, keeping: bool) -> Recipe:
        kept = negativa.Image(self.counterpart, adapter) if keeping else None
        return Recipe(self.prompt, Negative(negativa.Image(self.picture, adapter), start=self.start, keep=kept))

    def _painted(self, **change: bool) -> Image.Image:
        style = {} if self.painted.get("grayscale") else {"photo": True}
        return paint(np.random.default_rng(5), self.kind, **style, **{**self.painted, **change})[0]


CASES = (
    Case(
        "A house minus its lawn",
        "a house",
        "house",
        {"lawn": True, "day": True},
        "lawn",
        ("snow", "flowers"),
        why="A lawn or none is decided in the first step: a negative that starts after it comes too late.",
    ),
    Case(
        "A street minus its cars",
        "a street",
        "street",
        {"cars": True, "day": True},
        "cars",
        ("extra wheel",),
        start=0.05,
        why="The negative acts after the first twentieth of the steps, so that these can lay out the same street.",
    ),
    Case("One face minus another", "portrait of a woman", "portrait", {"woman": True, "red_hair": True, "green_eyes": True}),
    Case("Minus a picture without colours", "a house", "house", {"grayscale": True}),
)


def main() -> int:
    lines = [INTRODUCTION.format(seeds=SEEDS, first=FIRST_SEED, steps=STEPS, scale=studio().denoiser.scale)]
    arms = {(case.title, way): seeded(case.recipe(*way), SEEDS) for case in CASES for way in case.ways}
    plain = {case.prompt: seeded(Recipe(case.prompt), SEEDS) for case in CASES}
    draw([one for recipes in (*plain.values(), *arms.values()) for one in recipes], "pictures as negatives")
    bars: list[Bar] = []
    for case in CASES:
        before, rows = draw(plain[case.prompt]), {"shown": [case.picture] * 8}
        if case.removed:
            rows["kept"] = [case.counterpart] * 8
        rows["no negative"] = before[:8]
        lines += [f"## {case.title}", "", "| | measured | wanted |", "|---|---|---|"]
        for adapter, keeping in case.ways:
            after, name = draw(arms[case.title, (adapter, keeping)]), f"{adapter}{', keeping' if keeping else ''}"
            rows[f"minus it, {name}"] = after[:8]
            found = figures(case, before, after, name)
            bars += found
            lines += map(str, found)
        name = write_sheet(f"negative-images-{case.title.rpartition(' ')[2]}", rows)
        lines += ["", f"Prompt “{case.prompt}”. {case.why}".rstrip(), "", f"![{case.title}]({name})", ""]
    text = "\n".join(lines)
    (DOCS / "negative-images.md").write_text(text)
    print(text)
    return 0 if all(bar.met for bar in bars) else 1


def figures(case: Case, before: list[Image.Image], after: list[Image.Image], name: str) -> list[Bar]:
    """What the negative did, beside what is wanted of it."""
    if case.painted.get("grayscale"):
        return [Bar(f"{name}: more colourful than without it", share_of(zip(before, after, strict=True), livelier), None)]
    old, new = read(before), read(after)
    if not case.removed:
        theirs = [name for name, there in zip(IDENTITY, identity([case.picture])[0], strict=True) if there > 0.5]
        away = share_of(zip(old, new, strict=True), lambda a, b: total(b, theirs) < total(a, theirs))
        return [Bar(f"{name}: further from the face that is shown ({', '.join(theirs)})", away, 80)]
    had = [(a, b) for a, b in zip(old, new, strict=True) if a[case.removed] > 0.5]
    gone = share_of(had, lambda _, b: b[case.removed] <= 0.5)
    return [
        Bar(f"{name}: {case.removed} gone, of {len(had)} pictures that had it", gone, 85),
        Bar(f"{name}: the rest kept", kept(case, old, new), 85),
    ]


def kept(case: Case, old: Readings, new: Readings) -> float:
    """Percentage of the scene's other attributes that are as they were."""
    others = [one.name for one in SCENES[case.kind].attributes if one.name not in (case.removed, *case.bound)]
    return 100 * float(np.mean([(a[name] > 0.5) == (b[name] > 0.5) for a, b in zip(old, new, strict=True) for name in others]))


def share_of(pairs, holds: Callable) -> float:
    return 100 * float(np.mean([holds(before, after) for before, after in pairs]))


def identity(images: Sequence[Image.Image]) -> list[list[float]]:
    return [[reading[name] for name in IDENTITY] for reading in read([*images])]


def total(reading: dict[str, float], names: Sequence[str]) -> float:
    return sum(reading[name] for name in names)


def livelier(before: Image.Image, after: Image.Image) -> bool:
    first, second = Saturation().score([Shot(image, Recipe()) for image in (before, after)])
    return second > first


if __name__ == "__main__":
    sys.exit(main())
