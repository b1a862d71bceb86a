"""The cache of prepared data: a folder per entry, named by a hash of its inputs."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from nmt.config.data import DataConfig
from nmt.durable_file import make_folder, remedy, sync_files, sync_folder
from nmt.errors import UserError
from nmt.user_path import user_path

_PARTIAL = ".partial-"


def cache_directory(data: DataConfig) -> Path:
    """Return the cache folder: data.cache_dir, $NMT_CACHE, or the user's cache folder."""
    if data.cache_dir is not None:
        return user_path(data.cache_dir)
    if "NMT_CACHE" in os.environ:
        return Path(os.environ["NMT_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nmt"


@contextmanager
def made_once(folder: Path, on_wait: Callable[[], None]) -> Iterator[Path | None]:
    """Yield a temporary folder to fill; it becomes ``folder`` when the block succeeds.

    Yield None if ``folder`` exists. If several processes need it, one makes it and the others wait.
    Temporary folders of killed processes are removed.

    Args:
        folder: The folder to make, named by a hash of its inputs. It is complete once it exists.
        on_wait: Called if another process is making it.

    Raises:
        UserError: The cache cannot be written.
    """
    if os.path.isdir(folder):  # False without access to the parent, where Path.is_dir raises
        yield None
        return
    try:
        make_folder(folder.parent)
        lock = _lock(folder.parent, folder.name)
        _acquire(lock, on_wait)
    except OSError as error:
        raise _cannot_write(folder.parent, error) from error
    try:
        if folder.is_dir():  # another process made it while this one waited
            yield None
            return
        partial = folder.with_name(f"{_PARTIAL}{folder.name}")
        try:
            _remove_abandoned(folder.parent)
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            yield partial
            sync_files(partial)  # after a power failure, a folder with this name must be complete
            partial.rename(folder)
            sync_folder(folder.parent)
        except OSError as error:
            raise _cannot_write(folder.parent, error) from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    finally:
        lock.release()


def _lock(cache: Path, name: str) -> FileLock:
    return FileLock(cache / f".{name}.lock")


def _remove_abandoned(cache: Path) -> None:
    """Remove the incomplete folders that killed processes left behind."""
    for partial in cache.glob(f"{_PARTIAL}*"):
        try:
            with _lock(cache, partial.name.removeprefix(_PARTIAL)).acquire(timeout=0):
                shutil.rmtree(partial, ignore_errors=True)
        except (Timeout, OSError):
            continue  # another process is filling it, or it belongs to another user


def _acquire(lock: FileLock, on_wait: Callable[[], None]) -> None:
    try:
        lock.acquire(timeout=0)
    except Timeout:
        on_wait()
        lock.acquire(poll_interval=0.2)


def _cannot_write(folder: Path, error: OSError) -> UserError:
    return UserError(
        f"cannot write the cache {folder}: {error.strerror or error}; {remedy(error)}, or set "
        "data.cache_dir=FOLDER"
    )
