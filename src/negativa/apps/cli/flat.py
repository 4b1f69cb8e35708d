"""Options that many commands share, declared once as the fields of a dataclass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import MISSING, fields, is_dataclass
from inspect import Parameter, Signature, signature
from typing import Any, get_type_hints


def flat(command: Callable[..., None]) -> Callable[..., None]:
    """The command with the fields of its dataclass parameters in their place, as typer wants options."""
    hints = get_type_hints(command, include_extras=True)
    groups = {name: hints[name] for name in signature(command).parameters if is_dataclass(hints[name])}

    def shown() -> Iterator[Parameter]:
        for name, one in signature(command).parameters.items():
            if name not in groups:
                yield one.replace(kind=Parameter.KEYWORD_ONLY, annotation=hints[name])
                continue
            of_fields = get_type_hints(groups[name], include_extras=True)
            for field in fields(groups[name]):
                default = Parameter.empty if field.default is MISSING else field.default
                yield Parameter(field.name, Parameter.KEYWORD_ONLY, default=default, annotation=of_fields[field.name])

    def flattened(**given: Any) -> None:
        grouped = {name: kind(**{f.name: given.pop(f.name) for f in fields(kind)}) for name, kind in groups.items()}
        command(**given, **grouped)

    parameters = list(shown())
    flattened.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    flattened.__annotations__ = {one.name: one.annotation for one in parameters}
    flattened.__name__, flattened.__doc__ = command.__name__, command.__doc__
    return flattened
