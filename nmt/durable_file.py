"""Files that are the old one or the whole new one, whatever ends the process or the power."""

import errno
import os
from pathlib import Path

DISK_IS_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Numbers of errors that room would mend: the disk's, the user's share, a limit on a file."""
DISK_FAILS = (
    *(errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.ENODEV, errno.ENXIO),
    *(errno.ESTALE, errno.ENOENT, errno.ENOTDIR, errno.ENOTCONN),
)
"""Numbers of errors of a disk that is read-only, closed to the user, broken or gone."""

_PARTIAL = ".partial"


def write_durably(path: Path, *parts: bytes | memoryview) -> None:
    """Write a file beside ``path``, see it onto the disk, and only then put it in its place.

    What a killed write left behind is overwritten; `remove_partial_files` clears a whole folder.

    Raises:
        OSError: It could not be written; what stood there before still stands.
    """
    partial = path.with_name(f".{path.name}{_PARTIAL}")
    try:
        with partial.open("wb") as file:
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError:
        partial.unlink(missing_ok=True)  # it may be what fills the disk
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """See names given in a folder onto the disk, where the system can."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_partial_files(folder: Path) -> None:
    """Remove what killed writes have left in a folder that no other process writes to."""
    for partial in folder.glob(f".*{_PARTIAL}"):
        partial.unlink(missing_ok=True)
