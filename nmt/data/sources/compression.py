"""Reads files as bytes and decompresses .gz, .bz2, .xz and .zst by their suffix."""

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

from nmt.errors import UserError

READ_ERRORS = (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError, zipfile.BadZipFile)
"""What reading a damaged file raises."""

COMPRESSED = (".gz", ".bz2", ".xz", ".zst")

XZ_MEMORY = 1 << 28  # bytes of the dictionary of an .xz file; xz -9 needs 64 MiB

BLOCK = 1 << 16  # bytes per read; larger blocks do not fit into the processor cache and are slower


def open_plain(path: Path) -> BinaryIO:
    """Open a file for reading without decompression.

    Raises:
        UserError: The file does not exist or cannot be opened.
    """
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise UserError(f"there is no file {path}") from None
    except IsADirectoryError:
        raise UserError(f"cannot read {path}: it is a folder") from None
    except NotADirectoryError:
        return _open_member(path)
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {path}: {error}") from error


def _open_member(path: Path) -> BinaryIO:
    """Open a file in a zip archive by its path ARCHIVE/NAME."""
    archive = next((parent for parent in path.parents if parent.is_file()), path)
    try:
        member = path.relative_to(archive).as_posix()
        return cast(BinaryIO, zipfile.ZipFile(archive).open(member))
    except KeyError:
        raise UserError(f"there is no file {member} in {archive}") from None
    # RuntimeError: it is encrypted; NotImplementedError: an unknown compression.
    except (OSError, ValueError, RuntimeError, zipfile.BadZipFile) as error:
        raise UserError(f"cannot read {path}: {error}") from error


def open_binary(path: Path) -> BinaryIO:
    """Open a file for reading; a compressed file, by its suffix, is decompressed.

    Several consecutive compressed frames are read as one file.

    Raises:
        UserError: The file does not exist or cannot be opened.
    """
    file = open_plain(path)
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

    The content before a damaged position is yielded before the error is raised.

    Raises:
        UserError: The file cannot be opened or read, or is damaged or truncated.
    """
    done = 0
    with open_binary(path) as file:
        while True:
            try:
                block = cast(io.BufferedReader, file).read1(BLOCK)
            except READ_ERRORS as error:
                where = f", {done:,} bytes into its content" if done else ""
                raise UserError(f"cannot read {path}: {error}{where}") from error
            if not block:
                return
            done += len(block)
            yield block


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
