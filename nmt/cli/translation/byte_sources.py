"""The sources of the lines of `nmt translate`: a descriptor, a stream, or a compressed file.

A source returns the bytes that have arrived, and reports whether more bytes have arrived since. So
a line can be answered before the next line is sent.
"""

import contextlib
import io
import os
import select
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from nmt.data.sources.compression import open_plain, read_blocks
from nmt.data.sources.text_lines import other_kind
from nmt.errors import UserError
from nmt.file_names import COMPRESSED

BLOCK = 1 << 18  # bytes per read
STANDARD_INPUT = "standard input"


class ByteSource(Protocol):
    """Bytes that arrive over time.

    Attributes:
        name: The name in messages.
        size: Bytes of the whole input; None: it is not known.
    """

    name: str
    size: int | None

    def read(self) -> bytes:
        """Wait for bytes and return those that have arrived; empty at the end.

        Raises:
            UserError: They cannot be read.
        """

    def ready(self, seconds: float) -> bool:
        """Return whether bytes or the end have arrived, or arrive within these seconds."""

    def is_terminal(self) -> bool:
        """Return whether the source is a terminal."""


class DescriptorSource:
    """A file, pipe, socket or terminal by its file descriptor."""

    def __init__(self, descriptor: int, name: str) -> None:
        """Read a descriptor, which stays open.

        Raises:
            UserError: It is a folder, or a device without end, such as /dev/zero.
        """
        self.name = name
        self._descriptor = descriptor
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            raise UserError(f"cannot read {name}: it is a folder")
        if _is_device(descriptor, status):
            raise UserError(f"cannot read {name}: it is a device; give a file, or a pipe")
        self.size = status.st_size if stat.S_ISREG(status.st_mode) else None

    def read(self) -> bytes:
        """See `ByteSource`."""
        while True:
            try:
                return os.read(self._descriptor, BLOCK)
            except BlockingIOError:  # a non-blocking descriptor: wait until bytes arrive
                select.select([self._descriptor], [], [])
            except OSError as error:
                raise UserError(f"cannot read {self.name}: {error.strerror or error}") from error

    def ready(self, seconds: float) -> bool:
        """See `ByteSource`; False without `select.poll`, e.g. on Windows."""
        if self.size is not None:
            return True
        if not hasattr(select, "poll"):
            return False
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def is_terminal(self) -> bool:
        """See `ByteSource`."""
        return os.isatty(self._descriptor)


def _is_device(descriptor: int, status: os.stat_result) -> bool:
    """Return whether this is a device other than a terminal and /dev/null."""
    if not (stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode)):
        return False
    return not os.isatty(descriptor) and not os.path.samestat(status, os.stat(os.devnull))


class StreamSource:
    """A binary stream without a file descriptor."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        """Read a stream, which stays open."""
        self.name = name
        self.size: int | None = None
        self._stream = stream

    def read(self) -> bytes:
        """See `ByteSource`."""
        return self._stream.read(BLOCK)

    def ready(self, seconds: float) -> bool:
        """See `ByteSource`; always True."""
        return True

    def is_terminal(self) -> bool:
        """See `ByteSource`."""
        return False


class BlockSource:
    """A file that is decompressed block by block."""

    def __init__(self, path: Path) -> None:
        """Decompress a file while it is read."""
        self.name = str(path)
        self.size: int | None = None
        self._blocks: Iterator[bytes] = read_blocks(path)

    def read(self) -> bytes:
        """See `ByteSource`."""
        return next(self._blocks, b"")

    def ready(self, seconds: float) -> bool:
        """See `ByteSource`; always True."""
        return True

    def is_terminal(self) -> bool:
        """See `ByteSource`."""
        return False


@contextlib.contextmanager
def open_source(path: Path | None) -> Iterator[ByteSource]:
    """Open a file, which may be compressed, or standard input for None and ``-``.

    Raises:
        UserError: It does not exist, is closed, or is a folder.
    """
    if path is None or str(path) == "-":
        yield _standard_input()
    elif path.suffix.lower() in COMPRESSED:
        yield BlockSource(path)
    else:
        with open_plain(path) as file:
            _refuse_other_files(path)
            try:
                source: ByteSource = DescriptorSource(file.fileno(), str(path))
            except io.UnsupportedOperation:  # a member of a zip archive
                source = StreamSource(file, str(path))
            yield source


def _refuse_other_files(path: Path) -> None:
    """Refuse a file that is no text, such as a workbook or a zip archive.

    Raises:
        UserError: Its first bytes show it, or cannot be read.
    """
    if not path.is_file():
        return
    try:
        with path.open("rb") as file:
            first = file.read(16)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    refuse_other_kind(first, str(path))


def refuse_other_kind(first: bytes, name: str) -> None:
    """Refuse an input whose first bytes are not text.

    Raises:
        UserError: They are those of a word processor, a workbook, a PDF or an archive.
    """
    if (kind := other_kind(first)) is not None:
        raise UserError(
            f"cannot read {name}: it is {kind}, not text; open it in its program and save it as "
            "HTML or as plain text in UTF-8"
        )


def _standard_input() -> ByteSource:
    if sys.stdin is None:
        raise UserError("standard input is closed; give sentences as arguments, or --input FILE")
    try:
        return DescriptorSource(sys.stdin.fileno(), STANDARD_INPUT)
    except (io.UnsupportedOperation, AttributeError):
        return StreamSource(cast(BinaryIO, sys.stdin.buffer), STANDARD_INPUT)
