"""Which columns of a table, or keys of a record, are the two sides."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Columns:
    """What the settings say of columns.

    Attributes:
        languages: The language codes: the columns' names where no others are given.
        key: Path of the settings for messages, as ``data.train``; None where columns cannot be set.
        source: Name of the source side's column, or its number from 1; None: the language code.
        target: The same of the target side.
    """

    languages: tuple[str, str]
    key: str | None = None
    source: str | None = None
    target: str | None = None

    @property
    def names(self) -> tuple[str, str]:
        """The names that are looked for."""
        return self.source or self.languages[0], self.target or self.languages[1]

    @property
    def given(self) -> bool:
        """Whether a column is named by the settings, not by its language."""
        return self.source is not None or self.target is not None

    @property
    def positions(self) -> tuple[int, int] | None:
        """Both columns from 0 where they are given by number, else None."""
        if is_number(self.source) and is_number(self.target):
            return int(self.source or "") - 1, int(self.target or "") - 1
        return None

    def find(self, columns: Sequence[str]) -> tuple[int | None, int | None]:
        """Return where both sides stand among columns: by number, or by name in either case."""
        if self.positions is not None:
            first, second = (at if 0 <= at < len(columns) else None for at in self.positions)
        else:
            first, second = (_find(name, columns) for name in self.names)
        return first, second

    @property
    def remedy(self) -> str:
        """What to do where a column is missing."""
        languages = "set data.source_language and data.target_language to two of them"
        if self.key is None:
            return languages
        return f"{languages}, or name them by {self.key}.source_column and .target_column"

    @property
    def remedy_by_number(self) -> str:
        """The same of a table whose first line may be no header."""
        count = f"{self.key}.source_column=1 {self.key}.target_column=2"
        return f"{self.remedy}; where the first line is no header, count: {count}"


def is_number(column: str | None) -> bool:
    """Return whether a column is given by its number."""
    return column is not None and column.isascii() and column.isdigit()


def _find(name: str, columns: Sequence[str]) -> int | None:
    if name in columns:
        return columns.index(name)
    folded = [column.strip().casefold() for column in columns]
    return folded.index(name.casefold()) if folded.count(name.casefold()) == 1 else None
