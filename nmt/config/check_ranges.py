"""Checks the value of each setting against its declaration, and the names of choices."""

import dataclasses
from collections.abc import Iterator
from typing import Any

from nmt.config.choices import CHOICES, GROUPS
from nmt.config.setting import Setting, declared


def check_ranges(section: Any, prefix: str = "") -> Iterator[str]:
    """Yield a message for each value in a section, or below it, that is not allowed.

    Args:
        section: A settings dataclass.
        prefix: Its full key with a final dot, as ``training.``.
    """
    for field in dataclasses.fields(section):
        key, value = f"{prefix}{field.name}", getattr(section, field.name)
        if dataclasses.is_dataclass(value):
            yield from _check_name(value, key)
            yield from check_ranges(value, f"{key}.")
        elif (known := declared(field)) is not None and value is not None:
            yield from _check_value(key, value, known)


def _check_value(key: str, value: Any, known: Setting) -> Iterator[str]:
    if known.choices and value not in known.choices:
        yield f"{key} is {value!r}; choose from {', '.join(known.choices)}"
    if known.bounds is not None and not known.bounds.allow(value):
        finite = "" if isinstance(value, int) else "finite and "
        yield f"{key} is {value}; it must be {finite}{known.bounds}"


def _check_name(section: Any, key: str) -> Iterator[str]:
    """Refuse a new ``name``: a choice brings its own settings, and these would stay."""
    base = next((base for base in CHOICES if isinstance(section, base)), None)
    if base is not None and section.name != type(section).name:
        names = ", ".join(CHOICES[base])
        yield f"{key}.name cannot be set; choose with {GROUPS[base]}=..., from {names}"
