"""The options of the readers of documents."""

from collections.abc import Iterable
from dataclasses import dataclass

from nmt.errors import UserError

LineBatches = Iterable[list[str]]
"""The lines of a document with their line ends, as they arrive."""


@dataclass(frozen=True)
class DocumentOptions:
    """What is translated in a document.

    Attributes:
        file: The name of the document in messages.
        languages: The source and target language of the model.
        column: The column of a table by number or name, or the field of JSON lines, with the text.
        into: The column or field of the translation; None: it replaces the text.
        header: Whether the first line of a table names its columns.
        retranslate: Whether segments that already have a translation are translated again.
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
