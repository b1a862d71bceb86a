"""Finds the columns of a table, or the keys of a record, that contain the two sides."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Columns:
    """The columns of both sides in the settings.

    Attributes:
        languages: The language codes, which are the default names of the columns.
        key: Path of the settings for messages, e.g. ``data.train``; None if columns cannot be set.
        source: Name of the source column, or its number from 1; None: the language code.
        target: The same for the target column.
    """

    languages: tuple[str, str]
    key: str | None = None
    source: str | None = None
    target: str | None = None

    @property
    def names(self) -> tuple[str, str]:
        """The names of both columns."""
        return self.source or self.languages[0], self.target or self.languages[1]

    @property
    def given(self) -> bool:
        """Whether the settings name a column."""
        return self.source is not None or self.target is not None

    @property
    def positions(self) -> tuple[int, int] | None:
        """The indices of both columns, from 0, if they are given as numbers, else None."""
        if is_number(self.source) and is_number(self.target):
            return int(self.source or "") - 1, int(self.target or "") - 1
        return None

    def find(self, columns: Sequence[str]) -> tuple[int | None, int | None]:
        """Return the indices of both sides in a list of columns; upper and lower case are equal."""
        if self.positions is not None:
            first, second = (at if 0 <= at < len(columns) else None for at in self.positions)
        else:
            first, second = (_find(name, columns) for name in self.names)
        return first, second

    @property
    def remedy(self) -> str:
        """What to do if a column is missing."""
        languages = "set data.source_language and data.target_language to two of them"
        if self.key is None:
            return languages
        return f"{languages}, or name them by {self.key}.source_column and .target_column"

    @property
    def remedy_by_number(self) -> str:
        """The same for a table whose first line may not be a header."""
        count = f"{self.key}.source_column=1 {self.key}.target_column=2"
        return f"{self.remedy}; if the first line is not a header, use numbers: {count}"


def is_number(column: str | None) -> bool:
    """Return whether a column is given as a number."""
    return column is not None and column.isascii() and column.isdigit()


def _find(name: str, columns: Sequence[str]) -> int | None:
    if name in columns:
        return columns.index(name)
    folded = [column.strip().casefold() for column in columns]
    return folded.index(name.casefold()) if folded.count(name.casefold()) == 1 else None
