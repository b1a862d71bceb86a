"""Where prepared data is kept: under a hash of all that it depends on, whole or not at all."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from nmt.config.data import DataConfig
from nmt.errors import UserError

_PARTIAL = ".partial-"


def cache_directory(data: DataConfig) -> Path:
    """Return the folder of all prepared data: data.cache_dir, $NMT_CACHE, or the user's cache."""
    if data.cache_dir is not None:
        return Path(data.cache_dir).expanduser()
    if "NMT_CACHE" in os.environ:
        return Path(os.environ["NMT_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nmt"


@contextmanager
def made_once(folder: Path, on_wait: Callable[[], None]) -> Iterator[Path | None]:
    """Lend a folder to fill, which becomes ``folder`` if the block ends well; None if it is there.

    Of several processes one makes it while the others wait; what a killed one left is removed by
    the next.

    Args:
        folder: What to make, named by its content.
        on_wait: Called when another process is at it.

    Raises:
        UserError: The cache cannot be written.
    """
    if os.path.isdir(folder):  # unlike Path's, False where the name cannot even be asked for
        yield None
        return
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = _lock(folder.parent, folder.name)
        _acquire(lock, on_wait)
    except OSError as error:
        raise _cannot_write(folder.parent, error) from error
    try:
        if folder.is_dir():  # the process that was waited for has made it
            yield None
            return
        partial = folder.with_name(f"{_PARTIAL}{folder.name}")
        try:
            _remove_abandoned(folder.parent)
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            yield partial
            partial.rename(folder)
        except OSError as error:
            raise _cannot_write(folder.parent, error) from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    finally:
        lock.release()


def _lock(cache: Path, name: str) -> FileLock:
    return FileLock(cache / f".{name}.lock")


def _remove_abandoned(cache: Path) -> None:
    """Remove what killed processes left half made, whatever it was to become."""
    for partial in cache.glob(f"{_PARTIAL}*"):
        try:
            with _lock(cache, partial.name.removeprefix(_PARTIAL)).acquire(timeout=0):
                shutil.rmtree(partial, ignore_errors=True)
        except (Timeout, OSError):
            continue  # someone is at it, or it is another's


def _acquire(lock: FileLock, on_wait: Callable[[], None]) -> None:
    try:
        lock.acquire(timeout=0)
    except Timeout:
        on_wait()
        lock.acquire(poll_interval=0.2)


def _cannot_write(folder: Path, error: OSError) -> UserError:
    return UserError(
        f"cannot write the cache {folder}: {error.strerror or error}; make room, or set "
        "data.cache_dir=FOLDER"
    )
