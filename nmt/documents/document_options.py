"""What a reader of documents needs besides the document."""

from collections.abc import Iterable
from dataclasses import dataclass

from nmt.errors import UserError

LineBatches = Iterable[list[str]]
"""The lines of a document with their ends, as they arrive."""


@dataclass(frozen=True)
class DocumentOptions:
    """What is translated in a document.

    Attributes:
        file: The name of the document in messages.
        languages: The source and target language of the model.
        column: The column of a table by number or name, or the field of JSON lines.
        into: Where its translation goes; None: in its place.
        header: Whether the first line of a table has the names of its columns.
        retranslate: Whether a segment that has a translation is translated again.
    """

    file: str
    languages: tuple[str, str] = ("", "")
    column: str | None = None
    into: str | None = None
    header: bool = False
    retranslate: bool = False

    def fault(self, line: int | None, problem: str) -> UserError:
        """Return an error that names the document and the line."""
        where = self.file if line is None else f"{self.file}, line {line:,}"
        return UserError(f"{where} {problem}")
