"""What a learned token does as a negative: beside no negative, beside the same token untrained, which is the placebo, and
beside the words that it stands for, if there are any.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from negativa.experiments.statistics import Difference, Estimate, difference, holm, mean, power_note, with_interval
from negativa.language.files import make_folder, write
from negativa.plain.knobs import whole as whole_number
from negativa.plain.recipe import Recipe
from negativa.training.progress import Progress, Trained

if TYPE_CHECKING:
    from PIL.Image import Image

    from negativa.measures import Measure

PROMPTS: Final = ("portrait of a man", "portrait of a woman", "a house", "a street", "a forest", "a hamburger", "an armchair")
#: For terrarium's pictures or not.
MEASURES: Final = {True: ("flawless", "obedience", "kept"), False: ("sharpness", "contrast", "saturation", "kept")}
ELSEWHERE: Final = 10**6  # where the seeds begin, far from those of the pictures that were learned from
NONE, TOKEN, PLACEBO, WORDS = "no negative", "token", "untrained", "in words"
COMPARED: Final = ((NONE, TOKEN), (NONE, PLACEBO), (PLACEBO, TOKEN), (NONE, WORDS), (WORDS, TOKEN))


@dataclass(frozen=True)
class Finding:
    """A measure's `estimates` by arm, and the paired `differences` by the two arms: the second less the first.

    `corrected` are the p of these after Holm (1979).
    """

    measure: Measure
    estimates: Mapping[str, Estimate]
    differences: Mapping[tuple[str, str], Difference]
    corrected: Mapping[tuple[str, str], float]


@dataclass(frozen=True)
class Compared:
    """The end: the `card` that was written, and what it says."""

    card: Path
    findings: tuple[Finding, ...]


def check(pictures: int, out: Path, folder: Path, overwrite: bool) -> None:
    """Raise `InputError` or `OutputError` if `compare` could not measure so many pictures, or write its card beside `out`.

    Worth knowing before the training. A card that is there may be replaced where the run in `folder` wrote it.
    """
    from negativa.training.runs import check_out

    _check_count(pictures)
    check_out(_card_of(out), folder, overwrite, (".md",))


def compare(learned: Trained, folder: Path, pictures: int = 24, device: str | None = None) -> Iterator[Progress | Compared]:
    """Draw `pictures` pictures an arm, and write a card beside the token's file; the last that is told is a `Compared`.

    Every arm has the same prompts and seeds. Raises `InputError` for fewer pictures than a comparison needs, `OutputError` if
    the card cannot be written; `folder` holds what is untrained, if that is a file.
    """
    from negativa.measures import build
    from negativa.studio import load

    _check_count(pictures)
    model, changes = learned.about["model"], _changes(learned, folder)
    studio = load(model, device=device)
    bases = [Recipe(PROMPTS[i % len(PROMPTS)], seed=ELSEWHERE + i) for i in range(pictures)]
    arms = {name: [base.replace(**change) for base in bases] for name, change in changes.items()}
    drawn: dict[str, list[Image]] = {name: [] for name in arms}
    rows = dict.fromkeys(arms, 0)
    for i in range(pictures):
        made = sorted(studio.generate_many([recipes[i] for recipes in arms.values()]), key=lambda one: one.index)
        for name, one in zip(arms, made, strict=True):
            drawn[name].append(one.image)
            rows[name] += one.receipt.rows_asked
        yield Progress("measuring", i + 1, pictures)
    known = [build(name) for name in MEASURES[model == "terrarium"]]
    findings = tuple(find(measure, arms, drawn) for measure in known)
    card = _card_of(learned.file)
    each = {name: asked / pictures for name, asked in rows.items()}
    write("card", card, written(learned, findings, pictures, each).encode())
    yield Compared(card, findings)


def _check_count(pictures: int) -> None:
    whole_number("pictures", pictures, 2, 10_000)


def _card_of(file: Path) -> Path:
    from negativa.training.runs import beside

    return beside(file, ".md")


def written(learned: Trained, findings: Sequence[Finding], pictures: int, rows: Mapping[str, float]) -> str:
    """The card, as Markdown. `rows` are the network rows asked per picture, by arm."""
    arms = (NONE, TOKEN, PLACEBO, WORDS) if learned.words else (NONE, TOKEN, PLACEBO)
    lines = [f"# {learned.name}", "", f"As a negative: `{learned.used}`.", ""]
    if learned.words:
        lines += [f"In words: {learned.words}", ""]
    compared = [pair for pair in COMPARED if set(arms) >= set(pair)]
    lines += ["| measure | " + " | ".join(arms) + " |", "|---" * (len(arms) + 1) + "|"]
    for one in findings:
        better = "" if one.measure.better == "neither" else f", {one.measure.better} is better"
        cells = [with_interval(one.estimates[arm]) if arm in one.estimates else "" for arm in arms]
        lines.append(f"| {one.measure.label} ({one.measure.unit}{better}) | " + " | ".join(cells) + " |")
    lines.append("| network rows a picture | " + " | ".join(f"{rows[arm]:g}" for arm in arms) + " |")
    lines += ["", "| measure | " + " | ".join(f"{after}, less {before}" for before, after in compared) + " |"]
    lines += ["|---" * (len(compared) + 1) + "|"]
    for one in findings:
        cells = [_difference(one, pair) if pair in one.differences else "" for pair in compared]
        lines.append(f"| {one.measure.label} | " + " | ".join(cells) + " |")
    lines += [
        "",
        f"{pictures} pictures an arm, paired by prompt and seed; in brackets 95 % intervals; p-values are Holm's, over the "
        "comparisons by one measure.",
    ]
    if any(one.measure.name == "flawless" for one in findings):
        note = power_note(pictures, len(compared))
        lines.append(f"{note[0].upper()}{note[1:]}.")
    lines += ["", "Learned with:", ""]
    return "\n".join([*lines, *(f"- {name}: {value}" for name, value in learned.about.items()), ""])


def _changes(learned: Trained, folder: Path) -> dict[str, Mapping[str, Any]]:
    """What each arm changes in a recipe."""
    make_folder("folder", folder)
    trained, untrained = learned.arms(folder)
    arms: dict[str, Mapping[str, Any]] = {NONE: {}, TOKEN: trained, PLACEBO: untrained}
    return arms | ({WORDS: {"negative": learned.words}} if learned.words else {})


def find(measure: Measure, arms: Mapping[str, Sequence[Recipe]], drawn: Mapping[str, Sequence[Image]]) -> Finding:
    """What a measure says of the arms' pictures, given with their recipes in the same order; arms have one negative each."""
    from negativa.measures import Shot

    scores: dict[str, list[float]] = {}
    compared = tuple(dict.fromkeys(negative.text for recipes in arms.values() for negative in recipes[0].negative))
    for name, recipes in arms.items():
        if measure.over == "pair" and name == NONE:
            continue
        together = zip(drawn[name], recipes, drawn[NONE], strict=True)
        scores[name] = measure.score([Shot(image, recipe, before, compared) for image, recipe, before in together])
    pairs = [pair for pair in COMPARED if scores.keys() >= set(pair)]
    changes = {pair: difference(scores[pair[0]], scores[pair[1]]) for pair in pairs}
    corrected = dict(zip(changes, holm([one.p for one in changes.values()]), strict=True))
    return Finding(measure, {name: mean(values) for name, values in scores.items()}, changes, corrected)


def _difference(finding: Finding, pair: tuple[str, str]) -> str:
    return f"{with_interval(finding.differences[pair], '+')}, p {finding.corrected[pair]:.2g}"
