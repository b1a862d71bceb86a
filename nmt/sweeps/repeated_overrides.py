"""Warns of settings that are given twice with different values; the last value counts."""

import sys
from collections.abc import Iterator, Sequence

from nmt.printable import printable
from nmt.process_exit import is_printing_process


def repeated_overrides(overrides: Sequence[str]) -> Iterator[str]:
    """Yield a message for each setting or choice that has several values.

    Args:
        overrides: The arguments of the command line; flags are skipped.
    """
    given: dict[str, list[str]] = {}
    for override in overrides:
        key, equals, _ = override.lstrip("+").partition("=")
        if equals and not key.startswith(("-", "~")):
            given.setdefault(key, []).append(override)
    for key, several in given.items():
        if len(set(several)) > 1:
            yield (
                f"{key} is given {len(several)} times with different values; the last one counts: "
                f"{several[-1]}"
            )


def warn_of_repeated(overrides: Sequence[str]) -> None:
    """Print a warning for each setting that has several values."""
    if is_printing_process():
        for message in repeated_overrides(overrides):
            print(f"warning: {printable(message)}", file=sys.stderr)
