"""Checksums of prepared data, by which truncated and changed files are found."""

import json
import zlib
from pathlib import Path

_FILE = "checksums.json"
_BLOCK = 1 << 22


def write_checksums(folder: Path) -> None:
    """Write the size and the CRC-32 of each file of a folder into ``checksums.json`` there.

    Raises:
        OSError: A file cannot be read or written.
    """
    found = {path.name: _checksum(path) for path in sorted(folder.iterdir())}
    (folder / _FILE).write_text(json.dumps(found))


def check_checksums(folder: Path) -> bool:
    """Check the files of a folder; return False if it has no checksums (an earlier version).

    Raises:
        OSError: A file cannot be read.
        ValueError: A file has changed since it was written; the message names the file.
    """
    file = folder / _FILE
    if not file.exists():
        return False
    expected = json.loads(file.read_text())
    if not isinstance(expected, dict):
        raise ValueError(f"{_FILE} contains no checksums")
    for name, (size, checksum) in expected.items():
        path = folder / Path(name).name
        if path.stat().st_size != size:
            raise ValueError(f"{path.name} has {path.stat().st_size:,} bytes, not {size:,}")
        if _checksum(path)[1] != checksum:
            raise ValueError(f"{path.name} has changed since it was written")
    return True


def _checksum(path: Path) -> tuple[int, int]:
    """Return the size and the CRC-32 of a file."""
    size = checksum = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            size += len(block)
            checksum = zlib.crc32(block, checksum)
    return size, checksum
