"""The error message of a command that cannot write a file that the user has named."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nmt.durable_file import remedy
from nmt.errors import UserError


@contextmanager
def written_file(name: str, path: Path) -> Iterator[None]:
    """Report that a file cannot be written; the block uses `nmt.durable_file.atomic_write`.

    Args:
        name: The file as the user gave it, e.g. ``--html report.html``.
        path: The file.

    Raises:
        UserError: It could not be written.
    """
    existed = path.is_file()
    try:
        yield
    except OSError as error:
        earlier = "; the earlier file is unchanged" if existed and path.is_file() else ""
        raise UserError(
            f"cannot write {name}: {error.strerror or error}; {remedy(error)}{earlier}"
        ) from error
