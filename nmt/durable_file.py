"""Files that are always complete: a write replaces the old file only after it has succeeded.

`atomic_write` flushes the content to the disk before it replaces the old file. So readers never see
a half-written file, even after a power failure. With ``durable=True`` the new name is flushed, too:
when the write returns, a power failure no longer loses the new file.
"""

import errno
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

DISK_IS_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Error numbers of missing space: a full disk, an exhausted quota, a file size limit."""
DISK_FAILS = (
    *(errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.ENODEV, errno.ENXIO),
    *(errno.ESTALE, errno.ENOENT, errno.ENOTDIR, errno.ENOTCONN, errno.EISDIR, errno.EEXIST),
    *(errno.ELOOP, errno.ENAMETOOLONG),
)
"""Error numbers of other failures: the disk is read-only, broken or disconnected, access is not
permitted, or a path has a file in place of a folder or the reverse."""


def remedy(error: OSError) -> str:
    """Return what the user can do about a failed write, for the end of a message."""
    return "free some space" if error.errno in DISK_IS_FULL else "fix that"


PARTIAL = ".partial"
"""The end of the names of unfinished files."""

_NO_FOLDER_FLUSH = (errno.EINVAL, errno.ENOTSUP, errno.EBADF)
"""Error numbers of file systems that cannot flush a folder."""


@contextmanager
def atomic_write(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; it replaces ``path`` when the block succeeds.

    After an exception the temporary file is removed, and ``path`` is unchanged. If ``path`` is a
    link, the file to which it points is replaced, except with ``durable``. A device or a pipe is
    written directly.

    Args:
        path: The file to write. Missing folders are created, except with ``durable``: then a
            missing folder is an error.
        durable: Whether to flush the new name to the disk, too. Such a file has one writer, so its
            temporary name is fixed, and a later write overwrites the partial file of a killed one.
            `remove_partial_files` removes all partial files of a folder.

    Raises:
        OSError: The file could not be written.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        yield path  # a device or a pipe, e.g. /dev/stdout, cannot be replaced
        return
    if not durable and path.is_symlink():
        path = path.resolve()  # the link stays
    unique = "" if durable else f".{os.getpid()}-{uuid.uuid4().hex[:8]}"
    partial = path.with_name(f".{path.name}{unique}{PARTIAL}")
    if not durable:
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield partial
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        with suppress(OSError):  # the first error is the one to report
            partial.unlink(missing_ok=True)  # this file may be what fills the disk
        raise
    if durable:
        sync_folder(path.parent)


def write_durably(path: Path, *parts: bytes | memoryview) -> None:
    """Write a file durably; see `atomic_write`.

    Raises:
        OSError: The file could not be written. The old one is unchanged.
    """
    with atomic_write(path, durable=True) as partial, partial.open("wb") as file:
        for part in parts:
            file.write(part)


def make_folder(folder: Path) -> None:
    """Make a folder and its missing parents, and flush their names to the disk.

    Raises:
        OSError: It cannot be made.
    """
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir(exist_ok=True)
        sync_folder(path.parent)
    if not missing:
        folder.mkdir(exist_ok=True)  # raises if it is a file


def sync_folder(folder: Path) -> None:
    """Flush the names in a folder to the disk, where operating system and disk support it.

    Raises:
        OSError: They could not be flushed.
    """
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_FOLDER_FLUSH:
            raise
    finally:
        os.close(descriptor)


def sync_files(folder: Path) -> None:
    """Flush the files in a folder, and their names, to the disk.

    Raises:
        OSError: They could not be flushed.
    """
    for path in sorted(folder.iterdir()):
        with path.open("rb+") as file:
            os.fsync(file.fileno())
    sync_folder(folder)


def remove_partial_files(folder: Path) -> None:
    """Remove the partial files of killed writes; no other process may write these files.

    Partial folders stay: an export into the folder may still be running.
    """
    for partial in folder.glob(f".*{PARTIAL}"):
        if not partial.is_dir():
            partial.unlink(missing_ok=True)
