"""Bounds on what a checkpoint file may expand to, checked before it is unpacked.

A file of `torch.save` is a zip archive: one pickle, and one entry per tensor, none compressed.
"""

import pickletools
import zipfile
from pathlib import Path

_PICKLE = "data.pkl"
_LARGEST_PICKLE = 1 << 26  # bytes: names, settings and tokenizers
_SMALL_PICKLE = 1 << 18  # bytes that are unpickled without counting operations
_MOST_OPERATIONS = 1_000_000
_MOST_ENTRIES = 200_000


class ArchiveError(Exception):
    """The file is not an archive of `torch.save`, or would take more memory than its own size."""


def check_archive(path: Path) -> None:
    """Check that unpacking a file takes about as much memory as the file has bytes.

    Raises:
        ArchiveError: It would not, or the file is no such archive.
        OSError: It cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            _check_entries(entries, path.stat().st_size)
            pickles = [e for e in entries if e.filename.rpartition("/")[2] == _PICKLE]
            if len(pickles) != 1 or pickles[0].file_size > _LARGEST_PICKLE:
                raise ArchiveError("it has no index of a usual size")
            if pickles[0].file_size > _SMALL_PICKLE:
                _count_operations(archive.read(pickles[0]))
    except ArchiveError:
        raise
    except OSError:
        raise
    except Exception as error:  # zipfile raises many kinds on other bytes
        raise ArchiveError("it is no archive") from error


def _check_entries(entries: list[zipfile.ZipInfo], size: int) -> None:
    if len(entries) > _MOST_ENTRIES:
        raise ArchiveError("it has too many entries")
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise ArchiveError("its entries are compressed")
    if len({entry.filename for entry in entries}) != len(entries):
        raise ArchiveError("two of its entries have the same name")
    if sum(entry.file_size for entry in entries) > size:
        raise ArchiveError("its entries are larger than the file")


def _count_operations(content: bytes) -> None:
    for count, _ in enumerate(pickletools.genops(content)):
        if count > _MOST_OPERATIONS:
            raise ArchiveError("its index has too many values")
