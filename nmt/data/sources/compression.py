"""Reads files as bytes, and decompresses files with the suffix .gz, .bz2, .xz or .zst."""

import bz2
import gzip
import io
import lzma
import os
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

from nmt.errors import UserError
from nmt.file_names import COMPRESSED, no_file

READ_ERRORS = (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError, zipfile.BadZipFile)
"""Errors that reading a damaged file raises."""

XZ_MEMORY = 1 << 28  # maximum bytes of memory to decompress .xz; xz -9 needs 65 MiB

LARGEST, MOST_TIMES = 1 << 22, 200
"""Content is refused if it exceeds LARGEST bytes and MOST_TIMES times the compressed bytes."""

_HEAD = 1 << 17  # compressed bytes whose expansion is checked before any content is yielded

BLOCK = 1 << 16  # bytes per read; larger blocks do not fit into the processor cache and are slower


def open_plain(path: Path) -> BinaryIO:
    """Open a file for reading without decompression.

    Raises:
        UserError: The file does not exist or cannot be opened.
    """
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise UserError(no_file(path)) from None
    except IsADirectoryError:
        raise UserError(f"cannot read {path}: it is a folder") from None
    except NotADirectoryError:
        return _open_member(path)
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {path}: {error}") from error


def _open_member(path: Path) -> BinaryIO:
    """Open a file in a zip archive by its path ARCHIVE/NAME."""
    archive = next((parent for parent in path.parents if os.path.isfile(parent)), path)
    try:
        member = path.relative_to(archive).as_posix()
        opened = zipfile.ZipFile(archive)
        entry = opened.getinfo(member)
        _check_expansion(path, entry.file_size, min(entry.compress_size, archive.stat().st_size))
        return cast(BinaryIO, opened.open(entry))
    except KeyError:
        raise UserError(f"there is no file {member} in {archive}") from None
    # RuntimeError: the archive is encrypted, or its compression is unknown.
    except (OSError, ValueError, RuntimeError, zipfile.BadZipFile) as error:
        raise UserError(f"cannot read {path}: {error}") from error


def open_binary(path: Path) -> BinaryIO:
    """Open a file for reading, and decompress it if its suffix shows a compression.

    Consecutive compressed frames are read as one file.

    Raises:
        UserError: The file does not exist or cannot be opened.
    """
    return _decompressed(open_plain(path), path)


def _decompressed(file: BinaryIO, path: Path) -> BinaryIO:
    match path.suffix.lower():
        case ".gz":
            return cast(BinaryIO, _OwningGzipFile(file))
        case ".bz2":
            return cast(BinaryIO, io.BufferedReader(_Frames(file, bz2.BZ2Decompressor)))
        case ".xz":
            return cast(BinaryIO, io.BufferedReader(_Frames(file, _xz_decompressor)))
        case ".zst":
            return _open_zstandard(file)
    return file


def read_blocks(path: Path) -> Iterator[bytes]:
    """Yield the decompressed content of a file block by block.

    The content before a damaged position is yielded before the error is raised. If the beginning
    expands too much to be text, nothing is yielded.

    Raises:
        UserError: The file cannot be opened or read, is damaged or truncated, or expands too much.
    """
    head: list[bytes] | None = [] if path.suffix.lower() in COMPRESSED else None
    size = 0
    try:
        for block, position in _positioned_blocks(path):
            if head is None:
                yield block
                continue
            head.append(block)
            size += len(block)
            if size > MOST_TIMES * _HEAD or position > _HEAD:
                yield from head
                head = None
    except _ExpandsError:
        raise
    except UserError:
        yield from head or ()
        raise
    yield from head or ()


class _ExpandsError(UserError):
    """The content is too large for its compressed size."""


def _positioned_blocks(path: Path) -> Iterator[tuple[bytes, int]]:
    """Yield each block with the number of compressed bytes read so far; 0 if not compressed."""
    done = 0
    with open_plain(path) as raw, _decompressed(raw, path) as file:
        while True:
            try:
                block = cast(io.BufferedReader, file).read1(BLOCK)
            except READ_ERRORS as error:
                where = f", {done:,} bytes into its content" if done else ""
                raise UserError(f"cannot read {path}: {error}{where}") from error
            if not block:
                return
            done += len(block)
            position = 0 if file is raw else raw.tell()
            if file is not raw:
                _check_expansion(path, done, position)
            yield block, position


def _check_expansion(path: Path, size: int, packed: int) -> None:
    if size > max(LARGEST, MOST_TIMES * packed):
        raise _ExpandsError(
            f"cannot read {path}: its content is more than {MOST_TIMES} times as large as the "
            "compressed file, as text never is; if it is text, decompress it and name that file"
        )


class _OwningGzipFile(gzip.GzipFile):
    """A gzip file that also closes the compressed file."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(fileobj=file, mode="rb")
        self._compressed = file

    def close(self) -> None:
        super().close()
        self._compressed.close()


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class _Frames(io.RawIOBase):
    """Reads consecutive compressed frames.

    The file classes of the standard library silently ignore a damaged second frame.
    """

    def __init__(self, file: BinaryIO, decompressor: Callable[[], _Decompressor]) -> None:
        self._file = file
        self._make = decompressor
        self._frame: _Decompressor | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while True:
            if self._frame is None or self._frame.eof:
                rest = b"" if self._frame is None else self._frame.unused_data
                start = self._next_frame(rest)
                if not start:
                    return 0
                self._frame = self._make()
                data = self._frame.decompress(start, len(buffer))
            else:
                more = self._file.read(BLOCK) if self._frame.needs_input else b""
                if self._frame.needs_input and not more:
                    raise EOFError("its compressed content is truncated")
                data = self._frame.decompress(more, len(buffer))
            if data:
                buffer[: len(data)] = data
                return len(data)

    def _next_frame(self, rest: bytes) -> bytes:
        """Return the first bytes of the next frame; zeros between frames are padding."""
        while not (rest := rest.lstrip(b"\0")):
            if not (rest := self._file.read(BLOCK)):
                return b""
        return rest

    def close(self) -> None:
        self._file.close()
        super().close()


def _xz_decompressor() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(memlimit=XZ_MEMORY)


def _open_zstandard(file: BinaryIO) -> BinaryIO:
    import pyarrow

    return cast(BinaryIO, pyarrow.CompressedInputStream(file, "zstd"))
