"""Converts a typed configuration to a plain mapping and back: a saved config is data, not code."""

import dataclasses
import sys
import types
import typing
from collections.abc import Iterator, Mapping, Set
from typing import Any, TypeVar

from nmt.config.checks.check_ranges import shown
from nmt.config.choices import CHOICES
from nmt.config.data import DataConfig
from nmt.config.numbering import counted_from_1, index_of
from nmt.config.setting import declared, values_before
from nmt.config.source_settings import SourceConfig
from nmt.errors import UserError

T = TypeVar("T")


def to_mapping(config: Any) -> dict[str, Any]:
    """Convert a config dataclass to nested dicts of plain values, ``name`` fields included."""
    return dataclasses.asdict(config)


def to_naming_mapping(config: Any) -> dict[str, Any]:
    """Return `to_mapping` without indifferent settings and without neutral values of new settings.

    The default name of a run folder is a hash of this mapping, so a new setting changes no name.
    """
    mapping: dict[str, Any] = {}
    for field in dataclasses.fields(config):
        value, known = getattr(config, field.name), declared(field)
        if known and (known.indifferent or (not known.in_names and value == known.before)):
            continue
        if known and known.numbered and value is not None:
            value = index_of(value)  # as in older versions, so that folders keep their names
        if dataclasses.is_dataclass(value):
            value = to_naming_mapping(value)
            if known and not known.in_names and not value:
                continue
        mapping[field.name] = value
    return mapping


def changeable_settings(config: Any, *, finished: bool, prefix: str = "") -> Iterator[str]:
    """Yield the full keys of settings and sections that may change while a run keeps its folder.

    Args:
        config: A settings dataclass.
        finished: Whether the run is finished: only indifferent settings may change. In an
            unfinished run, resumable ones may change, too.
        prefix: Full key of the dataclass with a final dot; empty for the whole configuration.
    """
    for field in dataclasses.fields(config):
        key, known, value = f"{prefix}{field.name}", declared(field), getattr(config, field.name)
        if known and (known.indifferent if finished else known.resumable):
            yield key
        elif dataclasses.is_dataclass(value):
            yield from changeable_settings(value, finished=finished, prefix=f"{key}.")


def file_settings(config: Any, prefix: str = "") -> Iterator[str]:
    """Yield the full keys of settings that name files, those of ``data.extra`` included.

    Args:
        config: A settings dataclass.
        prefix: Full key of the dataclass with a final dot; empty for the whole configuration.
    """
    for field in dataclasses.fields(config):
        key, known, value = f"{prefix}{field.name}", declared(field), getattr(config, field.name)
        if known and known.names_file:
            yield key
        elif dataclasses.is_dataclass(value):
            yield from file_settings(value, f"{key}.")
    if isinstance(config, DataConfig):
        for name, source in extra_sources(config).items():
            yield from file_settings(source, f"{prefix}extra.{name}.")


def flatten(mapping: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return sections and values by full key, e.g. ``model.decoder.name``."""
    flat: dict[str, Any] = {}
    for key, value in mapping.items():
        flat[f"{prefix}{key}"] = value
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
    return flat


def from_mapping(cls: type[T], mapping: Mapping[str, Any], path: str = "") -> T:
    """Convert a plain mapping to a config dataclass; the inverse of `to_mapping`.

    A setting that did not exist when the mapping was written gets the value that keeps the old
    behavior.

    Args:
        cls: The dataclass, or the base of several choices, one of which ``name`` selects.
        mapping: Plain values from a checkpoint or from JSON.
        path: Key of the mapping in the whole configuration, for messages.

    Raises:
        UserError: A key is missing, unknown or of the wrong type.
    """
    where = path or "the configuration"
    if not isinstance(mapping, Mapping):
        raise UserError(f"{where} is {shown(mapping)}, not a mapping")
    cls = _choose(cls, mapping, where)
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    before = values_before(cls)
    if "count_from" in before and "count_from" not in mapping:
        mapping = counted_from_1(mapping)
    mapping = {**before, **mapping}
    unknown, missing = set(mapping) - set(fields), set(fields) - set(mapping)
    if unknown or missing:
        raise UserError(
            f"{where}: unknown keys {_names(unknown)}, missing keys {_names(missing)}; "
            "it was written by another version of nmt"
        )
    hints = typing.get_type_hints(cls)
    prefix = f"{path}." if path else ""
    return cls(**{key: _value(hints[key], mapping[key], f"{prefix}{key}") for key in fields})


def _names(keys: Set[Any]) -> str:
    return shown(sorted(map(str, keys)))


def _choose(cls: type[T], mapping: Mapping[str, Any], where: str) -> type[T]:
    choices = CHOICES.get(cls)
    if choices is None:
        return cls
    name = mapping.get("name")
    if not isinstance(name, str) or name not in choices:
        raise UserError(f"{where}.name is {shown(name)}; choose from {', '.join(choices)}")
    return choices[name]


def extra_sources(data: DataConfig) -> dict[str, SourceConfig]:
    """Return the typed sources of ``data.extra`` by the names that the user gave them.

    Raises:
        UserError: A key is unknown, or a value of the wrong type.
    """
    return {
        name: from_mapping(SourceConfig, source, f"data.extra.{name}")
        for name, source in data.extra.items()
    }


def _value(hint: Any, value: Any, path: str) -> Any:
    if hint is Any:
        return value
    if isinstance(hint, types.UnionType):
        if value is None and type(None) in hint.__args__:
            return None
        hint = next(member for member in hint.__args__ if member is not type(None))
    if dataclasses.is_dataclass(hint):
        return from_mapping(hint, value, path)  # type: ignore[arg-type]
    if typing.get_origin(hint) is dict and isinstance(value, Mapping):
        inner = typing.get_args(hint)[1]
        return {key: _value(inner, part, f"{path}.{key}") for key, part in value.items()}
    if typing.get_origin(hint) is list and isinstance(value, list):
        inner = typing.get_args(hint)[0]
        return [_value(inner, part, f"{path}[{i}]") for i, part in enumerate(value)]
    if hint is float and type(value) is int and abs(value) <= sys.float_info.max:
        return float(value)
    if type(value) is not hint:
        expected = getattr(hint, "__name__", str(hint))
        raise UserError(f"{path} is {shown(value)}, not of type {expected}")
    return value
