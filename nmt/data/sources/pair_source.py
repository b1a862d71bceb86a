"""What every source of sentence pairs offers, and how it tells of faults in its files."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from nmt.errors import UserError


@dataclass(frozen=True)
class DataFault:
    """Something in a file that makes its pairs wrong or unreadable.

    Attributes:
        rule: What kind, as ``not_utf8``; see docs/data.md for all of them.
        file: Where.
        line: Line, row or unit there, from 1; None where it is the file as a whole.
        message: One line for people that names the thing, the place and the remedy.
    """

    rule: str
    file: str
    line: int | None
    message: str


FaultSink = Callable[[DataFault], None]


def refuse(fault: DataFault) -> None:
    """Stop at the first fault: what training does.

    Raises:
        UserError: Always, with the fault's message.
    """
    raise UserError(fault.message)


@dataclass(frozen=True)
class PairChunk:
    """Consecutive pairs of one file, or of one file a side.

    The texts are as they stand in the file, carriage returns and byte-order marks included;
    `clean_text` makes them fit for training.

    Attributes:
        source_file: Where the source sides stand; the ``target_file`` too where one holds both.
        target_file: Where the target sides stand.
        lines: Line, row or unit number of each pair, from 1.
        sources: One text a pair.
        targets: One text a pair.
        tag: What training puts before every source that is not blank. It is no part of the text
            that rules judge and word links count.
    """

    source_file: str
    target_file: str
    lines: list[int]
    sources: list[str]
    targets: list[str]
    tag: str | None = None

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.lines)


class PairSource(Protocol):
    """Sentence pairs that can be read again and again, always in the same order."""

    @property
    def name(self) -> str:
        """What it is called in messages: its file or files."""

    def fingerprint(self) -> str:
        """Return a hash of the content that pairs are made of: equal content, equal hash.

        Raises:
            UserError: A file cannot be read.
        """

    def chunks(self, size: int, on_fault: FaultSink = refuse) -> Iterator[PairChunk]:
        """Yield all pairs, at most ``size`` a chunk, holding no more than a chunk in memory.

        A fault is handed to ``on_fault``. Where that returns, reading goes on as well as can be:
        what is not UTF-8 is replaced by U+FFFD, a record that is no pair is left out, and a file
        that cannot be read further ends; pairs never shift against each other.
        """


def with_tag(texts: list[str], tag: str | None) -> list[str]:
    """Return cleaned texts with the tag before each that is not blank."""
    return texts if tag is None else [f"{tag} {t}" if t.strip() else t for t in texts]


def clean_text(text: str) -> str:
    r"""Return one line fit for training: no byte-order mark in front, no line break anywhere.

    Those at the end go. One inside (``\r\n``, ``\r`` or ``\n``) becomes a space; nothing else is
    touched.
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
