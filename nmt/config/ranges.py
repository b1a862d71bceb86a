"""Ranges of settings: each check yields what is wrong, in the user's words."""

import math
from collections.abc import Iterator
from typing import Any

Fault = str


def at_least(key: str, value: int, least: int) -> Iterator[Fault]:
    """Refuse less than ``least``."""
    if value < least:
        yield f"{key} is {value}; it must be at least {least}"


def positive(key: str, value: float) -> Iterator[Fault]:
    """Refuse all but finite numbers above 0."""
    if not 0 < value < math.inf:
        yield f"{key} is {value}; it must be a number above 0"


def not_negative(key: str, value: float) -> Iterator[Fault]:
    """Refuse all but finite numbers from 0 on."""
    if not 0 <= value < math.inf:
        yield f"{key} is {value}; it must be a number, 0 or more"


def probability(key: str, value: float) -> Iterator[Fault]:
    """Refuse what is not in [0, 1)."""
    if not 0 <= value < 1:
        yield f"{key} is {value}; it must be in [0, 1)"


def one_of(key: str, value: Any, *allowed: str) -> Iterator[Fault]:
    """Refuse what is not among the names."""
    if value not in allowed:
        yield f"{key} is {value!r}; choose from {', '.join(allowed)}"
