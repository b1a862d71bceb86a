"""Finds where the documents of a source end: at blank lines, by a column, or with files."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from nmt.config.data import DataConfig
from nmt.config.source_settings import Documents, SourceConfig
from nmt.data.sources.fingerprint import fingerprint_parts
from nmt.data.sources.pair_source import FaultSink, PairChunk, PairSource, refuse
from nmt.errors import UserError


@dataclass(frozen=True)
class Boundaries:
    """The setting of what ends a document.

    Attributes:
        kind: One of `Documents`.
        column: With `Documents.COLUMN`, the name or number of the column.
    """

    kind: str = Documents.NONE
    column: str | None = None

    @classmethod
    def of(cls, data: DataConfig, source: SourceConfig | None = None) -> "Boundaries":
        """Return the boundaries of a source: its own setting, or else that of the corpus."""
        own = None if source is None else source.documents
        kind = own or data.documents
        return cls(kind, data.document_column if kind == Documents.COLUMN else None)

    def check(self, key: str, what: str, allowed: Collection[str]) -> None:
        """Refuse boundaries that a format does not have.

        Args:
            key: Name of the settings of the source in messages.
            what: The format, for messages.
            allowed: The kinds that the format has.

        Raises:
            UserError: The format does not have this kind.
        """
        if self.kind not in (Documents.NONE, *allowed):
            raise UserError(
                f"data.documents={self.kind} has no meaning for {key}, which is {what}: choose "
                f"{' or '.join(allowed)}, or none"
            )


@dataclass(frozen=True)
class DocumentPairs:
    """A source whose pairs have the number of their document.

    With `Documents.BLANK_LINES`, a pair that is blank on both sides ends a document, and is left
    out.

    Attributes:
        pairs: The source.
        kind: One of `Documents`, but not `Documents.NONE`.
    """

    pairs: PairSource
    kind: str

    @property
    def name(self) -> str:
        """The name of the source."""
        return self.pairs.name

    def fingerprint(self) -> str:
        """Return a hash of the source and of the kind of boundaries.

        Raises:
            UserError: A file cannot be read.
        """
        kind = f"documents {self.kind}"
        return fingerprint_parts(self.pairs.fingerprint().encode(), kind.encode())

    def chunks(self, size: int, on_fault: FaultSink = refuse) -> Iterator[PairChunk]:
        """Yield the pairs with the numbers of their documents, from 0."""
        number = 0
        before: tuple[str, str] | None = None  # the file and the name of the last document
        for chunk in self.pairs.chunks(size, on_fault):
            kept: list[int] = []
            documents: list[int] = []
            names = chunk.document_names or [""] * len(chunk)
            for index, name in enumerate(names):
                if self.kind == Documents.BLANK_LINES and _is_boundary(chunk, index):
                    number += bool(documents or before)
                    before = None
                    continue
                here = chunk.source_file, name
                number += before is not None and here != before
                before = here
                kept.append(index)
                documents.append(number)
            if kept:
                part = chunk if len(kept) == len(chunk) else chunk.chosen(kept)
                yield replace(part, document_names=None, documents=documents)


def _is_boundary(chunk: PairChunk, index: int) -> bool:
    sides = chunk.sources[index], chunk.targets[index]
    return not any(text.removeprefix("\ufeff").strip() for text in sides)


def with_documents(source: PairSource, boundaries: Boundaries) -> PairSource:
    """Return the source with document numbers, or the source itself without documents."""
    if boundaries.kind == Documents.NONE:
        return source
    return DocumentPairs(source, boundaries.kind)
