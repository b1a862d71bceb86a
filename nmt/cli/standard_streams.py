"""Handles failures of standard input, output and error.

A shell may close them (``<&-``, ``>&-``), or connect them to a full disk or to a pipe that does not
block. Every failure of standard output becomes one line. A failure of standard error does not stop
a command.
"""

import contextlib
import io
import logging
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from nmt.durable_file import remedy
from nmt.errors import UserError
from nmt.process_exit import discard_output

_INPUT, _OUTPUT, _ERROR = 0, 1, 2


@contextmanager
def standard_streams() -> Iterator[None]:
    """Replace `sys.stdout` and `sys.stderr` by streams whose failures are handled, and flush them.

    Streams that are not those of the process, e.g. in a test, are not replaced.

    Raises:
        UserError: Standard output is closed, or could not be written.
        BrokenPipeError: The reader of standard output has closed the pipe.
    """
    closed = _reserve_descriptors()
    if sys.stderr is None or _is_standard(sys.stderr, _ERROR):
        sys.stderr = _text_stream(_StandardError(_ERROR, "w", closefd=False), sys.stderr)
    if sys.stdout is None or (_OUTPUT in closed and _is_standard(sys.stdout, _OUTPUT)):
        raise UserError("standard output is closed; to discard the output, add > /dev/null")
    if _is_standard(sys.stdout, _OUTPUT):
        sys.stdout = _text_stream(_StandardOutput(_OUTPUT, "w", closefd=False), sys.stdout)
    # If a log message cannot be written, logging would print a traceback.
    shows_failures, logging.raiseExceptions = logging.raiseExceptions, False
    try:
        yield
        _flush_or_discard()
    except SystemExit:
        _flush_or_discard()
        raise
    except BaseException:
        with contextlib.suppress(OSError, UserError):  # the first error is the one to report
            _flush_or_discard()
        raise
    finally:
        logging.raiseExceptions = shows_failures


def _flush_or_discard() -> None:
    try:
        sys.stdout.flush()
    except (OSError, UserError):
        discard_output()
        raise


def _reserve_descriptors() -> list[int]:
    """Open /dev/null in place of closed standard streams, and return the closed descriptors.

    Otherwise the next file that a command opens would become standard output.
    """
    closed = []
    for descriptor in (_INPUT, _OUTPUT, _ERROR):
        try:
            os.fstat(descriptor)
        except OSError:
            closed.append(descriptor)
            os.open(os.devnull, os.O_RDWR)  # the lowest free number, which is this one
    return closed


def _is_standard(stream: Any, descriptor: int) -> bool:
    try:
        return type(stream) is io.TextIOWrapper and stream.fileno() == descriptor
    except (OSError, ValueError):
        return False


def _text_stream(raw: io.FileIO, like: TextIO | None) -> TextIO:
    """Return a text stream; characters that its encoding does not have become escapes."""
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=getattr(like, "encoding", None) or "utf-8",
        errors="backslashreplace",
        newline="\n" if os.name != "nt" else None,
        line_buffering=raw.isatty() or raw.fileno() == _ERROR,
    )


class _StandardStream(io.FileIO):
    """A file descriptor that may be non-blocking: a write waits until it can write."""

    def write(self, data: Any, /) -> int:
        while True:
            written: int | None = super().write(data)
            if written is not None:
                return written
            select.select([], [self], [])


class _StandardOutput(_StandardStream):
    """Standard output. A failed write, e.g. to a full disk, is a `UserError`."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise UserError(
                f"cannot write standard output: {error.strerror or error}; the output is "
                f"incomplete: {remedy(error)} and run the same command again"
            ) from error


class _StandardError(_StandardStream):
    """Standard error. A message that cannot be written is lost, and the work continues."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError:
            return len(data)
