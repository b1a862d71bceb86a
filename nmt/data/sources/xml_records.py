"""Reads XML files of translation units in parts; only one unit is in memory.

Files that declare entities are refused before anything is expanded. Nothing is downloaded.
"""

import codecs
import re
from collections.abc import Generator
from pathlib import Path
from typing import Protocol
from xml.parsers import expat

from nmt.data.sources import fault_messages
from nmt.data.sources.compression import read_blocks
from nmt.data.sources.pair_source import DataFault, FaultSink
from nmt.data.sources.records import Record
from nmt.errors import UserError

LONGEST_TOKEN = 1 << 22  # bytes of a tag or comment, which expat keeps whole
LONGEST_UNIT = 1 << 24  # characters of a translation unit
DEEPEST = 1000  # open elements
MOST_NAMES = 5000  # different names of elements, each of which takes memory
SHORT_TEXT = 64  # characters by which an element without text counts towards LONGEST_UNIT

_CHECKED_BYTES = 1 << 20  # that are parsed at once
_DECLARED = re.compile(rb"""<\?xml[^>]*?encoding\s*=\s*["']([\w.:-]+)["']""")
_KNOWN_TO_EXPAT = ("utf-8", "utf-16", "iso-8859-1", "us-ascii", "ascii")
_BREAK = re.compile(r"\s*[\r\n]\s*")


class UnitHandler(Protocol):
    """Collects the units of one format.

    Attributes:
        found: Complete units and faults; the reader empties the list.
    """

    found: list[Record | DataFault]

    @property
    def unit_size(self) -> int:
        """Characters of the unit that is not complete yet."""

    def start(self, name: str, attributes: dict[str, str], line: int) -> None:
        """Take the start of an element; its name has no prefix."""

    def end(self, name: str) -> None:
        """Take the end of an element."""

    def text(self, data: str) -> None:
        """Take a part of the text between tags."""


def read_units(
    path: Path, on_fault: FaultSink, root: str, handler: UnitHandler
) -> Generator[Record, None, bool]:
    """Yield the units of a file; those before a fault are yielded before it is reported.

    Args:
        path: The file.
        on_fault: Receives faults; reading ends at a fault of the XML.
        root: Name of the root element.
        handler: Collects the units.

    Returns:
        Whether the file was read to its end.
    """
    reader = _Reader(path, root, handler)
    blocks = read_blocks(path)
    while True:
        try:
            block = next(blocks, b"")
        except UserError as error:
            on_fault(fault_messages.unreadable(path, None, error))
            return False
        fault = reader.feed(block)
        for found in handler.found:
            if isinstance(found, DataFault):
                on_fault(found)
            else:
                yield found
        handler.found.clear()
        if fault is not None:
            on_fault(fault)
            return False
        if not block:
            return True


class _NoUnits:
    """Collects nothing: the file is only checked."""

    unit_size = 0

    def __init__(self) -> None:
        self.found: list[Record | DataFault] = []

    def start(self, name: str, attributes: dict[str, str], line: int) -> None:
        pass

    def end(self, name: str) -> None:
        pass

    def text(self, data: str) -> None:
        pass


def xml_fault(data: bytes, path: Path, root: str) -> DataFault | None:
    """Return the fault that ends the reading of a document in UTF-8; None: it is well-formed.

    Args:
        data: The document. The encoding that it declares is ignored.
        path: Name of the document in messages.
        root: Name of the root element.
    """
    reader = _Reader(path, root, _NoUnits(), encoding="utf-8")
    for start in range(0, len(data), _CHECKED_BYTES):
        if fault := reader.feed(data[start : start + _CHECKED_BYTES]):
            return fault
    return reader.feed(b"")


class _RefusedError(Exception):
    """Stops expat; the fault is the argument."""

    def __init__(self, fault: DataFault) -> None:
        super().__init__(fault.message)
        self.fault = fault


class _Reader:
    """An expat parser with limits of sizes."""

    def __init__(
        self, path: Path, root: str, handler: UnitHandler, encoding: str | None = None
    ) -> None:
        self._path, self._root, self._handler = path, root, handler
        self._encoding = encoding  # None: the one that the file declares
        self._kind = f"a {root.upper()} file"
        self._parser: expat.XMLParserType | None = None
        self._decoder: codecs.IncrementalDecoder | None = None
        self._fed = self._depth = 0
        self._names: set[str] = set()
        self._blank = True  # whether only white space was read

    def feed(self, block: bytes) -> DataFault | None:
        """Parse the next part of the file; b"" ends it. Return the fault that ends reading."""
        if self._blank and not block.strip():
            return None
        self._blank = False
        try:
            parser = self._parser or self._start(block)
            if self._decoder is not None:
                block = self._decoder.decode(block, final=not block).encode()
            self._fed += len(block)
            parser.Parse(block, not block)
            if self._fed - parser.CurrentByteIndex > LONGEST_TOKEN:
                raise ValueError(f"a tag or comment does not end within {LONGEST_TOKEN >> 20} MiB")
        except _RefusedError as refused:
            return refused.fault
        except expat.ExpatError as error:
            return self._malformed(expat.ErrorString(error.code), error.lineno)
        except (ValueError, LookupError) as error:
            return self._malformed(str(error), self._line)
        return None

    @property
    def _line(self) -> int | None:
        return None if self._parser is None else self._parser.CurrentLineNumber

    def _malformed(self, reason: str, line: int | None) -> DataFault:
        return fault_messages.malformed(self._path, line, self._kind, reason)

    def _start(self, block: bytes) -> expat.XMLParserType:
        declared = _DECLARED.match(block.removeprefix(codecs.BOM_UTF8).lstrip()[:1000])
        name = declared[1].decode() if declared else "utf-8"
        if self._encoding is not None:
            parser = expat.ParserCreate(self._encoding, intern=None)
        elif name.lower() in _KNOWN_TO_EXPAT:
            parser = expat.ParserCreate(intern=None)
        else:
            self._decoder = text_decoder(name)
            parser = expat.ParserCreate("utf-8", intern=None)
        parser.buffer_text = True
        parser.StartElementHandler = self._on_start
        parser.EndElementHandler = self._on_end
        parser.CharacterDataHandler = self._on_text
        parser.EntityDeclHandler = self._on_entity
        parser.SkippedEntityHandler = self._on_skipped
        self._parser = parser
        return parser

    def _on_start(self, name: str, attributes: dict[str, str]) -> None:
        local = name.rpartition(":")[2]
        if not self._depth and local != self._root:
            raise _RefusedError(self._malformed(f"its root is <{local}>, not <{self._root}>", None))
        self._depth += 1
        self._names.add(name)
        if self._depth > DEEPEST:
            raise ValueError(f"more than {DEEPEST:,} elements are open")
        if len(self._names) > MOST_NAMES:
            raise ValueError(f"it has more than {MOST_NAMES:,} different names of elements")
        self._handler.start(local, attributes, self._line or 1)
        self._check_size()

    def _on_end(self, name: str) -> None:
        self._depth -= 1
        self._handler.end(name.rpartition(":")[2])

    def _on_text(self, data: str) -> None:
        self._handler.text(data)
        self._check_size()

    def _check_size(self) -> None:
        if self._handler.unit_size > LONGEST_UNIT:
            raise ValueError(f"a unit is longer than {LONGEST_UNIT >> 20} MiB")

    def _on_entity(self, *_: object) -> None:
        raise _RefusedError(fault_messages.entities(self._path))

    def _on_skipped(self, name: str, is_parameter: bool) -> None:
        if not is_parameter:
            raise ValueError(f"undefined entity &{name};")


def text_decoder(name: str) -> codecs.IncrementalDecoder:
    """Return the decoder of an encoding by its name in a file.

    Raises:
        ValueError: There is no such encoding, or it does not include ASCII as it is.
    """
    ascii_bytes = bytes(range(0x20, 0x7F))
    try:
        if ascii_bytes.decode(name) == ascii_bytes.decode("ascii"):
            return codecs.getincrementaldecoder(name)()
    except (LookupError, ValueError):
        pass
    raise ValueError(f"its encoding {name} is unknown")


class InlineText:
    """The text of an element without the native code inside it.

    Attributes:
        size: Characters kept so far.
    """

    CODE = ("bpt", "ept", "ph", "it", "ut", "x", "bx", "ex", "sc", "ec", "cp")
    """Elements whose content is code of the document, in TMX and XLIFF; ``sub`` in them is text."""

    def __init__(self) -> None:
        """Start without text."""
        self._parts: list[str] = []
        self._kept = [True]
        self.size = 0

    def start(self, name: str) -> None:
        """Take the start of an element inside."""
        is_text = name == "sub" or (self._kept[-1] and name not in self.CODE)
        self._kept.append(is_text)

    def end(self) -> None:
        """Take the end of an element inside."""
        self._kept.pop()

    def add(self, data: str) -> None:
        """Take a part of the content."""
        if self._kept[-1]:
            self._parts.append(data)
            self.size += len(data)

    def __str__(self) -> str:
        """Return the text; a line break and the indentation around it are a space."""
        text = "".join(self._parts)
        return _BREAK.sub(" ", text).strip() if "\n" in text or "\r" in text else text
