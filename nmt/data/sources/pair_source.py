"""The interface of all sources of sentence pairs, and of faults in their files."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

from nmt.errors import UserError


class FaultKind(StrEnum):
    """How much of a file a fault concerns, and whether training accepts it."""

    FILE = "file"  # the whole file, or the rest of it: refused
    ROW = "row"  # one record, which is not a pair; the others are intact: refused
    LEFT_OUT = "left_out"  # one record of few; accepted without these records
    NOTE = "note"  # no fault, but information about how the file is read: accepted


@dataclass(frozen=True)
class DataFault:
    """Something in a file that makes its pairs wrong or unreadable.

    Attributes:
        rule: Name of the fault, e.g. ``not_utf8``; docs/data.md lists all of them.
        file: The file.
        line: Line, row or unit number, from 1; None for the file as a whole.
        message: One line that names the fault, its location and the remedy.
        kind: How much of the file the fault concerns.
        count: Number of faults of this rule that this report covers; the others are not reported.
    """

    rule: str
    file: str
    line: int | None
    message: str
    kind: FaultKind = FaultKind.FILE
    count: int = 1

    @property
    def is_refused(self) -> bool:
        """Whether training refuses the file."""
        return self.kind in (FaultKind.FILE, FaultKind.ROW)


FaultSink = Callable[[DataFault], None]
"""Receives faults. If it returns, reading continues; if it raises, reading stops."""


def refuse(fault: DataFault) -> None:
    """Stop at the first fault that training does not accept.

    Raises:
        UserError: The fault is of kind FILE or ROW; the error has its message.
    """
    if fault.is_refused:
        raise UserError(fault.message)


@dataclass(frozen=True)
class PairChunk:
    """Consecutive pairs of one file, or of one file per side.

    The texts are unchanged, including carriage returns and byte-order marks; `clean_text` prepares
    them for training.

    Attributes:
        source_file: File of the source sides; equal to ``target_file`` if one file has both.
        target_file: File of the target sides.
        lines: Line, row or unit number of each pair, from 1.
        sources: One text per pair.
        targets: One text per pair.
        tag: A word that training adds before every source that is not blank. Filters and word links
            ignore it.
        document_names: The name of the document of each pair in the file; None: there are none.
        documents: The number of the document of each pair, never decreasing within a source. None:
            the source has no documents.
    """

    source_file: str
    target_file: str
    lines: list[int]
    sources: list[str]
    targets: list[str]
    tag: str | None = None
    document_names: list[str] | None = None
    documents: list[int] | None = None

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.lines)

    def chosen(self, indices: Sequence[int]) -> "PairChunk":
        """Return the pairs with these indices."""
        names, documents = self.document_names, self.documents
        return replace(
            self,
            lines=[self.lines[i] for i in indices],
            sources=[self.sources[i] for i in indices],
            targets=[self.targets[i] for i in indices],
            document_names=None if names is None else [names[i] for i in indices],
            documents=None if documents is None else [documents[i] for i in indices],
        )


class PairSource(Protocol):
    """Sentence pairs that can be read repeatedly, always in the same order."""

    @property
    def name(self) -> str:
        """Name for messages: the file or files."""

    def fingerprint(self) -> str:
        """Return a hash of the content; equal content has an equal hash.

        Raises:
            UserError: A file cannot be read.
        """

    def chunks(self, size: int, on_fault: FaultSink = refuse) -> Iterator[PairChunk]:
        """Yield all pairs, at most ``size`` per chunk, with only one chunk in memory.

        ``on_fault`` receives the faults. If it returns, reading continues as far as possible: bytes
        that are not UTF-8 become `UNDECODED`, a record that is not a pair is skipped, and an
        unreadable file ends there. Skipping never shifts one side against the other.
        """


def with_tag(texts: list[str], tag: str | None) -> list[str]:
    """Return cleaned texts with the tag before each text that is not blank."""
    return texts if tag is None else [f"{tag} {t}" if t.strip() else t for t in texts]


def clean_text(text: str) -> str:
    r"""Return a text as one line, without byte-order mark and line breaks.

    Line breaks at the end are removed. A line break inside (``\r\n``, ``\r`` or ``\n``) becomes a
    space. Nothing else changes.
    """
    if text.isprintable():
        return text
    text = text.removeprefix("\ufeff").rstrip("\r\n")
    if "\r" in text or "\n" in text:
        text = text.replace("\r\n", " ").replace("\r", " ").replace("\n", " ")
    return text


def clean_chunk(chunk: PairChunk) -> PairChunk:
    """Return the chunk with both sides cleaned by `clean_text`; the tag is not added."""
    sources, targets = list(map(clean_text, chunk.sources)), list(map(clean_text, chunk.targets))
    return replace(chunk, sources=sources, targets=targets)
