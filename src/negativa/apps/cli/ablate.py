"""`negativa ablate`: which terms of a negative do the work."""

from __future__ import annotations

from dataclasses import replace
from textwrap import shorten
from typing import TYPE_CHECKING, Annotated

import typer

from negativa.apps.cli import compare, options
from negativa.apps.cli.flat import flat
from negativa.apps.cli.screen import counted, interruption, print_table, say, say_all
from negativa.apps.cli.settings import Machine, Settings
from negativa.errors import InputError
from negativa.language.negatives import parse_negative
from negativa.plain.recipe import Recipe

if TYPE_CHECKING:
    from negativa.experiments.ablation import Finding
    from negativa.plain.conditions import Negative


@flat
def ablate(
    *,
    prompt: options.Prompt,
    negative: Annotated[
        list[str],
        typer.Option(
            "--negative", "-n", metavar="TEXT[:WEIGHT[:START:STOP]]", help="Terms, with commas between; may be repeated."
        ),
    ],
    measure: Annotated[
        list[str], typer.Option(help="What to measure, as in presence:mustache; may be repeated, the first guides --minimise.")
    ],
    seeds: Annotated[str, typer.Option(metavar="COUNT|FIRST:END", help="Seeds: 32 is 0:32, the end is excluded.")] = "32",
    minimise: Annotated[
        bool, typer.Option("--minimise", help="Look for a shortest negative that cannot be told from the whole.")
    ] = False,
    settings: Settings,
    out: options.Out = None,
    overwrite: options.Overwrite = False,
    machine: Machine,
) -> None:
    """Take a negative apart: negativa ablate "portrait of a man" -n "mustache, blurry, hat" --measure presence:mustache"""
    from negativa.experiments.ablation import Begun, Drawn, Report, ablate
    from negativa.experiments.bars import by_measure, write_report
    from negativa.experiments.making import Here
    from negativa.experiments.page import PICTURES
    from negativa.experiments.plan import read_seeds

    base = Recipe(prompt, **settings.fields())
    folder = compare.folder_of("ablate", prompt, out, overwrite)
    make = Here(**machine.loading)
    events = ablate(base, _joined(negative), measure, read_seeds(seeds), minimise, make, folder / PICTURES)
    with interruption(lambda: compare.kept(folder if (folder / PICTURES).exists() else None)):
        begun = next(events)
        assert isinstance(begun, Begun)
        more = f", then at most {begun.more} to find a shortest negative" if minimise else ""
        say(f"{begun.pictures} pictures{more}")
        for event in counted(events, None if minimise else begun.pictures, Drawn):
            if isinstance(event, Report):
                say_all((*machine.unread(base), *event.notices), event.failures)
                if not event.findings:
                    raise InputError(f"measure: none could score the pictures in {str(folder)!r}; {event.failures[-1]}")
                files = write_report(folder, event)
                for findings in by_measure(event).values():
                    _print_table(findings)
                if event.shortest is not None:
                    said = f"{event.shortest!r}" if event.shortest else "no negative at all"
                    print(f"shortest that cannot be told from the whole: {said}")
                print(f"{event.power}")
                print(
                    f"{event.pictures} pictures of {len(event.seeds)} seeds in every arm, {event.rows_asked} rows asked, "
                    f"{event.rows_run} run, {event.seconds:.1f} s"
                )
                for file in files:
                    print(file)


def _joined(texts: list[str]) -> Negative:
    """The negative whose terms were given in one text or in several. Raises `InputError` if these are weighed differently."""
    first, *others = given = [parse_negative(text) for text in texts]
    for one, text in zip(others, texts[1:], strict=True):
        if replace(one, condition=first.condition) != first:
            raise InputError(
                f"negative: {text!r} was given beside {texts[0]!r}; allowed: one weight and window for all terms, "
                "or a term's weight in brackets, as in (hat:0.5)"
            )
    return replace(first, condition=", ".join(one.text for one in given))


def _print_table(findings: list[Finding]) -> None:
    from negativa.experiments.statistics import with_interval

    names = {
        "none": "no negative",
        "whole": "the whole",
        "alone": "{} alone",
        "without": "without {}",
        "shortest": "the shortest",
    }
    table = [("arm", "value [95 %]", "difference [95 %]", "against", "p (Holm)", "rows")]
    for one in findings:
        table.append(
            (
                names[one.kind].format(shorten(one.term, 30, placeholder=" …")),
                with_interval(one.estimate),
                with_interval(one.difference, "+") if one.difference else "",
                one.against,
                "" if one.corrected is None else f"{one.corrected:.3g}",
                f"{one.rows:.0f}",
            )
        )
    print(findings[0].measure)
    print_table(table)
    print()
