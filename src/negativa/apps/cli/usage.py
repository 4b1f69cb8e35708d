"""How a command line is taken: every option once, and what cannot be understood is said in one sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import typer
from typer.core import TyperCommand

from negativa.errors import InputError
from negativa.plain.knobs import KNOBS

F = TypeVar("F", bound=Callable[..., Any])
#: What typer raises for a command line that it cannot understand; it has no public name for it.
UsageError: Final[Any] = typer.BadParameter.__mro__[1]


class Command(TyperCommand):
    """A command that refuses options given twice, of which all but the last would be ignored, and ill-typed values.

    Raises `InputError`.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As typer does it."""
        try:
            given, _, order = self.make_parser(ctx).parse_args(list(args))
        except UsageError as error:
            error.ctx = ctx
            raise
        for one in order:
            if (times := order.count(one)) > 1 and not getattr(one, "multiple", True) and not getattr(one, "is_flag", False):
                raise InputError(f"{_field(one)}: given {times} times; allowed: once")
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as error:
            if error.param is None:
                raise
            _refuse(error, given.get(error.param.name or ""), ctx.command_path)
            raise


class App(typer.Typer):
    """A group of such commands."""

    def command(self, name: str | None = None, *, cls: type[TyperCommand] | None = None, **more: Any) -> Callable[[F], F]:
        """As `typer.Typer.command`."""
        return super().command(name, cls=cls or Command, **more)


def sentence(error: Any) -> str:
    """What a `UsageError` says; nothing where typer has shown the help instead."""
    said = error.format_message().strip().removesuffix(".")
    path = error.ctx.command_path if error.ctx else "negativa"
    return f"{said[0].lower()}{said[1:]}; see `{path} --help`" if said else ""


def _refuse(error: Any, value: Any, path: str) -> None:
    """Say in our words what typer says of one option or argument."""
    field = _field(error.param)
    if value is None:
        raise InputError(f"{field}: none was given; see `{path} --help`") from error
    value = ", ".join(value) if isinstance(value, list) else value
    if (knob := KNOBS.get(field)) and knob.help in (error.param.help or ""):  # not a number of the same name, as of training
        knob.check(field, value)
    allowed = "a whole number" if "integer" in error.message else "a number"
    raise InputError(f"{field}: {value!r} was given; allowed: {allowed}") from error


def _field(parameter: Any) -> str:
    """What a sentence calls an option or argument."""
    return max(parameter.opts, key=len).lstrip("-").replace("-", "_")
