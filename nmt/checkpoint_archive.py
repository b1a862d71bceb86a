"""Bounds on the memory that unpacking a checkpoint file may take, checked before it is unpacked.

A file of `torch.save` is a zip archive: one pickle, and one entry per tensor, none compressed.
"""

import pickletools
import re
import zipfile
from pathlib import Path

_PICKLE = "data.pkl"
_LARGEST_PICKLE = 1 << 26  # bytes: names, settings and tokenizers
_MOST_OPERATIONS = 400_000
_MOST_BYTES_VALUES = 8  # two tokenizers need two
_MOST_ENTRIES = 200_000
_ENCODE = "_codecs encode"  # the function that makes bytes
_FUNCTIONS = re.compile(
    rf"{_ENCODE}|collections OrderedDict|torch Size|torch\._utils _rebuild_tensor_v2|"
    r"torch\._utils _rebuild_parameter|torch \w+Storage|torch (bfloat16|float\d+|int\d+|bool|uint8)"
)
"""The functions and types to which the pickle of a checkpoint may refer."""


class ArchiveError(Exception):
    """The file is not an archive of `torch.save`, or would take more memory than its own size."""


def check_archive(path: Path) -> None:
    """Check that unpacking a file takes about as much memory as the file has bytes.

    Raises:
        ArchiveError: It would take more, or the file is not an archive of `torch.save`.
        OSError: The file cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            _check_entries(entries, path.stat().st_size)
            pickles = [e for e in entries if e.filename.rpartition("/")[2] == _PICKLE]
            if len(pickles) != 1 or pickles[0].file_size > _LARGEST_PICKLE:
                raise ArchiveError("it has no index of a usual size")
            _check_operations(archive.read(pickles[0]))
    except (ArchiveError, OSError, MemoryError):
        raise
    # On other bytes, zipfile raises BadZipFile, struct.error, EOFError, ValueError, KeyError, ...
    except Exception as error:
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


def _check_operations(content: bytes) -> None:
    """Check that a pickle calls only what `torch.save` writes for tensors and bytes.

    Other functions that torch accepts, such as `bytearray`, take any amount of memory.
    """
    known: set[int] = set()  # slots of the memo that contain the function for bytes
    calls, is_encode = 0, False
    for count, (operation, argument, _) in enumerate(pickletools.genops(content)):
        if count > _MOST_OPERATIONS:
            raise ArchiveError("its index has too many values")
        if operation.name.endswith("PUT"):
            slot = {int(argument or 0)}
            known = known | slot if is_encode else known - slot
            continue
        if operation.name == "GLOBAL" and not _FUNCTIONS.fullmatch(str(argument)):
            raise ArchiveError(f"its index refers to {argument}")
        is_encode = argument == _ENCODE if operation.name == "GLOBAL" else False
        is_encode = is_encode or (operation.name.endswith("GET") and argument in known)
        calls += is_encode
        if calls > _MOST_BYTES_VALUES:
            raise ArchiveError("its index has too many values that are bytes")
