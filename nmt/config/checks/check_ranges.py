"""Checks that the declaration of each setting allows its value, and that no ``name`` changed."""

import dataclasses
import reprlib
from collections.abc import Iterator
from typing import Any

from nmt.config.choices import CHOICES, GROUPS
from nmt.config.setting import Setting, declared

_LARGEST_INTEGER = (1 << 63) - 1  # that arrays and tensors can hold


class _Short(reprlib.Repr):
    """Shortens a value of any size for a message."""

    def __init__(self) -> None:
        """Set the lengths: characters of a text, and values of a list or mapping."""
        super().__init__()
        self.maxstring = self.maxother = 100
        self.maxlist = self.maxdict = self.maxtuple = 20

    def repr_int(self, x: int, level: int) -> str:
        """Shorten an integer; Python refuses to convert more than 4,300 digits to text."""
        return repr(x) if x.bit_length() <= 256 else f"an integer of {x.bit_length():,} bits"


_short = _Short()


def shown(value: Any) -> str:
    """Return any value for a message, in at most about 100 characters."""
    return _short.repr(value)


def check_ranges(section: Any, prefix: str = "") -> Iterator[str]:
    """Yield a message for each value in a section and its subsections that is not allowed.

    Args:
        section: A settings dataclass.
        prefix: Full key of the section with a final dot, e.g. ``training.``.
    """
    for field in dataclasses.fields(section):
        key, value = f"{prefix}{field.name}", getattr(section, field.name)
        if dataclasses.is_dataclass(value):
            yield from _check_name(value, key)
            yield from check_ranges(value, f"{key}.")
        elif (known := declared(field)) is not None and value is not None:
            yield from _check_value(key, value, known)


def _check_value(key: str, value: Any, known: Setting) -> Iterator[str]:
    texts = value if isinstance(value, list) else [value]
    if unusable := next(filter(None, map(_unusable, texts)), None):
        yield f"{key} is {shown(value)}, which has {unusable}: write it without"
        return
    if known.choices and any(text not in known.choices for text in texts):
        yield f"{key} is {shown(value)}; choose from {', '.join(known.choices)}"
    if isinstance(value, int) and abs(value) > _LARGEST_INTEGER:
        allowed = known.bounds or "an integer of 64 bits"
        yield f"{key} is {shown(value)}; it must be {allowed}"
    elif known.bounds is not None and not known.bounds.allow(value):
        finite = "" if isinstance(value, int) else "finite and "
        yield f"{key} is {value}; it must be {finite}{known.bounds}"


def _unusable(text: Any) -> str | None:
    """Return what makes a text unusable in files, names of files and messages; None: nothing."""
    if not isinstance(text, str):
        return None
    if "\0" in text:
        return "a NUL character"
    if any("\ud800" <= character <= "\udfff" for character in text):
        return "bytes that are not UTF-8"
    return None


def _check_name(section: Any, key: str) -> Iterator[str]:
    """Refuse a changed ``name``: the settings of the earlier choice would stay."""
    base = next((base for base in CHOICES if isinstance(section, base)), None)
    if base is not None and section.name != type(section).name:
        names = ", ".join(CHOICES[base])
        yield f"{key}.name cannot be set; choose with {GROUPS[base]}=..., from {names}"
