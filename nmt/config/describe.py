"""Describes settings from their declarations, for `nmt train --help` and ``docs/settings.md``."""

import dataclasses
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any

from nmt.config.setting import declared, without_none


@dataclasses.dataclass(frozen=True)
class Description:
    """One setting in words.

    Attributes:
        key: Full key.
        values: Its type or choices, and its range.
        default: Its default, as on the command line.
        unit: Unit of the number; empty: none.
        sentence: What it does.
    """

    key: str
    values: str
    default: str
    unit: str
    sentence: str


def describe(cls: Any, prefix: str, values: Mapping[str, Any]) -> Iterator[Description]:
    """Yield the settings of a dataclass and of its sections, in the order of the fields.

    Args:
        cls: The dataclass; sections that a config group fills are left out.
        prefix: Full key of the dataclass with a final dot; empty for the whole configuration.
        values: Values by name that replace the defaults, sections as mappings.
    """
    hints = typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        known, hint = declared(field), without_none(hints[field.name])
        if known is None:  # the name of a choice
            continue
        key, value = f"{prefix}{field.name}", values.get(field.name, _default(field))
        if not dataclasses.is_dataclass(hint):
            range_ = f", {known.bounds}" if known.bounds else ""
            kind = " | ".join(known.choices) or _name(hints[field.name])
            yield Description(
                key, f"{kind}{range_}", as_text(value), known.unit or "", known.sentence
            )
        elif field.default_factory is not dataclasses.MISSING:
            given = dataclasses.asdict(field.default_factory()) | dict(values.get(field.name) or {})
            yield from describe(hint, f"{key}.", given)


def as_text(value: Any) -> str:
    """Return a value in the form of the command line; ``???``: the user has to give it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list):
        return f"[{','.join(map(as_text, value))}]"
    return str(value)


def _default(field: "dataclasses.Field[Any]") -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return "???" if field.default is dataclasses.MISSING else field.default


def _name(hint: Any) -> str:
    if isinstance(hint, types.UnionType):
        return f"{_name(without_none(hint))} or null"
    if typing.get_origin(hint) is not None:
        return {list: "list", dict: "mapping"}[typing.get_origin(hint)]
    return {"str": "text", "int": "integer", "float": "number", "bool": "true | false"}[
        hint.__name__
    ]
