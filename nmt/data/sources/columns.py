"""Finds the columns of a table, or the keys of a JSON object, that contain the two sides."""

from collections.abc import Sequence
from dataclasses import dataclass

from nmt.config.language_names import same_language


@dataclass(frozen=True)
class Columns:
    """The columns that the settings name.

    Attributes:
        languages: The language codes, which are the default names of the columns.
        key: Name of the settings in messages, e.g. ``data.train``; None if columns cannot be set.
        source: Name of the source column, or its number from 1; None: the language code.
        target: The same for the target column.
        document: Name or number of the column that names the document; None: there is none.
    """

    languages: tuple[str, str]
    key: str | None = None
    source: str | None = None
    target: str | None = None
    document: str | None = None

    @property
    def names(self) -> tuple[str, str]:
        """The names of both columns."""
        return self.source or self.languages[0], self.target or self.languages[1]

    @property
    def given(self) -> bool:
        """Whether the settings name the column of a side."""
        return self.source is not None or self.target is not None

    @property
    def positions(self) -> tuple[int, int] | None:
        """The indices of both columns, from 0, if they are given as numbers, else None."""
        if is_number(self.source) and is_number(self.target):
            return int(self.source or "") - 1, int(self.target or "") - 1
        return None

    def find(self, columns: Sequence[str]) -> tuple[int | None, int | None]:
        """Return the indices of both sides in a list of column names, ignoring case; None: missing.

        A column may also have the name of its language: German or Deutsch for ``de``.
        """
        if self.positions is not None:
            first, second = (at if 0 <= at < len(columns) else None for at in self.positions)
        else:
            given = (self.source, self.target)
            first, second = (
                _find(name, columns, is_language=column is None)
                for name, column in zip(self.names, given, strict=True)
            )
        return first, second

    def find_document(self, columns: Sequence[str]) -> int | None:
        """Return the index of the column that names the document; None: it is missing."""
        assert self.document is not None
        if is_number(self.document):
            place = int(self.document) - 1
            return place if 0 <= place < len(columns) else None
        return _find(self.document, columns, is_language=False)

    @property
    def remedy(self) -> str:
        """What to do if a column is missing."""
        languages = "set data.source_language and data.target_language to two of them"
        if self.key is None:
            return languages
        return (
            f"{languages}, or name them, e.g. {self.key}.source_column=NAME "
            f"{self.key}.target_column=NAME"
        )

    @property
    def remedy_by_number(self) -> str:
        """What to do if a column is missing in a table whose first line may not be a header."""
        count = f"{self.key}.source_column=1 {self.key}.target_column=2"
        return f"{self.remedy}; if the first line is not a header, use numbers: {count}"


DOCUMENT_REMEDY = "set data.document_column to one of them"
"""What to do if the column of the documents is missing."""


def is_number(column: str | None) -> bool:
    """Return whether a column is given as a number."""
    return column is not None and column.isascii() and column.isdigit()


def _find(name: str, columns: Sequence[str], *, is_language: bool) -> int | None:
    if columns.count(name) == 1:
        return columns.index(name)
    folded = [column.strip().casefold() for column in columns]
    if name.casefold() in folded:
        return folded.index(name.casefold()) if folded.count(name.casefold()) == 1 else None
    found = [i for i, column in enumerate(columns) if is_language and same_language(name, column)]
    return found[0] if len(found) == 1 else None
