"""`negativa study`: a plan carried out, measured and reported."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from negativa.apps.cli.flat import flat
from negativa.apps.cli.screen import interruption, say, studied
from negativa.apps.cli.settings import Machine
from negativa.errors import InputError

if TYPE_CHECKING:
    from negativa.experiments.making import Maker
    from negativa.experiments.verdicts import Verdict
    from negativa.studio import Loading


@flat
def study(
    *,
    plan: Annotated[Path, typer.Argument(help="A TOML file: prompts, negatives, seeds, measures, ...")],
    out: Annotated[Path, typer.Option(help="Folder of the study; run again with the same one to go on.")],
    watch: Annotated[bool, typer.Option("--watch", help="Show progress, rate and time left.")] = False,
    workers: Annotated[int | None, typer.Option(help="Processes on this machine that make pictures.")] = None,
    ray: Annotated[str | None, typer.Option(metavar="auto|ADDRESS", help="Make pictures on a running Ray cluster.")] = None,
    machine: Machine,
) -> None:
    """Compare prompts, negatives, rules, scales fairly, with numbers: negativa study studies/mustache.toml --out mustache"""
    from negativa.experiments.plan import read_plan
    from negativa.experiments.studying import Begun, Damaged, Drawn, Failed, Finished
    from negativa.experiments.studying import study as carry_out

    said, failed = set[str](), 0

    def once(line: str) -> None:
        if line not in said:
            said.add(line)
            say(line)

    chosen = read_plan(plan)
    for line in machine.unread(*(arm.recipe for arm in chosen.arms())):
        say(f"notice: {line}")
    with (
        interruption(lambda: f"what is finished is kept in {str(out)!r}, run the study again to go on"),
        _maker(workers, ray, machine.loading) as make,
    ):
        events = carry_out(chosen, out, make)
        for event in studied(events) if watch else events:
            match event:
                case Begun(pictures, done):
                    say(f"{pictures} pictures, {done} of them there already")
                case Damaged(picture):
                    say(f"damaged: pictures/{picture.hash}.png ({picture.arm}, seed {picture.seed}); it is made again")
                case Drawn(picture):
                    for notice in picture.receipt["notices"]:
                        once(f"notice: {picture.arm}: {notice}")
                case Failed(failure):
                    failed += failure.seed is not None
                    once(f"failed: {failure.arm}: {failure.sentence}")
                case Finished(report, verdicts):
                    if failed:
                        say(f"{failed} pictures could not be made; the report names them")
                    for verdict in verdicts:
                        print(_line(verdict))
                    print(report)
                case _:
                    pass


@contextmanager
def _maker(workers: int | None, ray: str | None, loading: Loading) -> Iterator[Maker]:
    """Where pictures are made: processes, a cluster, or here."""
    if workers is not None and ray is not None:
        raise InputError("workers: given together with ray; allowed: one of them")
    if workers is not None:
        from negativa.experiments.workers import Processes

        with Processes(workers, **loading) as make:
            yield make
    elif ray is not None:
        from negativa.experiments.cluster import Cluster

        with Cluster(ray, **loading) as make:
            yield make
    else:
        from negativa.experiments.making import Here

        yield Here(**loading)


def _line(verdict: Verdict) -> str:
    """A verdict on one line: what was measured, and what the negative changed."""
    from negativa.experiments.statistics import with_interval

    said = f"{verdict.measure:<20} {verdict.arm}: "
    if verdict.estimate is None:
        return f"{said}not scored"
    said += f"{with_interval(verdict.estimate)}, n {verdict.estimate.n}"
    if verdict.difference is None:
        return said
    pairs = f", {verdict.difference.n} pairs" if verdict.difference.n != verdict.estimate.n else ""
    return f"{said}; beside {verdict.baseline}: {with_interval(verdict.difference, '+')}{pairs}, {verdict.word}"
