"""Types of the arguments of scripts: a value that is not allowed ends a script with one line."""

import argparse
from collections.abc import Callable


def whole_number(least: int = 1) -> Callable[[str], int]:
    """Return a type for ``add_argument``: a whole number that is at least ``least``."""

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
        if number < least:
            raise argparse.ArgumentTypeError(f"{number} is too small; the least is {least}")
        return number

    return read


def whole_numbers(least: int = 1) -> Callable[[str], list[int]]:
    """Return a type for ``add_argument``: whole numbers, each at least ``least``, as A,B."""
    read = whole_number(least)
    return lambda text: [read(part) for part in text.split(",")]
