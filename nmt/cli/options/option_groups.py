"""Lets commands share groups of options: a parameter that is a dataclass stands for its fields."""

import dataclasses
import inspect
import typing
from collections.abc import Callable, Iterator
from typing import Any


def with_groups(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command in which the fields of each dataclass among the parameters are options.

    Args:
        command: A function. Its parameters, and the fields of its dataclasses, have typer's
            annotations.
    """
    hints = typing.get_type_hints(command, include_extras=True)
    groups: dict[str, Any] = {
        name: hint for name, hint in hints.items() if dataclasses.is_dataclass(hint)
    }
    parameters = [
        one
        for parameter in inspect.signature(command).parameters.values()
        for one in _expanded(parameter, hints[parameter.name])
    ]

    def grouped(**given: Any) -> None:
        collected = {
            name: group(**{f.name: given.pop(f.name) for f in dataclasses.fields(group)})
            for name, group in groups.items()
        }
        command(**given, **collected)

    grouped.__name__, grouped.__doc__ = command.__name__, command.__doc__
    grouped.__module__ = command.__module__
    grouped.__annotations__ = {one.name: one.annotation for one in parameters}
    vars(grouped)["__signature__"] = inspect.Signature(parameters)
    return grouped


def _expanded(parameter: inspect.Parameter, hint: Any) -> Iterator[inspect.Parameter]:
    if not dataclasses.is_dataclass(hint):
        yield parameter.replace(annotation=hint, kind=inspect.Parameter.KEYWORD_ONLY)
        return
    hints = typing.get_type_hints(hint, include_extras=True)
    for field in dataclasses.fields(hint):
        yield inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.default,
            annotation=hints[field.name],
        )
