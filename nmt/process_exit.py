"""How a command exits: its status, its error line, and the common end of torchrun's processes."""

import atexit
import contextlib
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from functools import partial
from typing import NoReturn

from nmt.errors import UserError
from nmt.printable import printable


class ExitStatus(IntEnum):
    """The exit statuses of `nmt` other than 0."""

    FAILED = 1
    USER_ERROR = 2
    """Something that the user gave is wrong."""
    RESUMABLE = 75
    """EX_TEMPFAIL: the run was interrupted and saved; the same command resumes it."""
    INTERRUPTED = 130
    """128 + SIGINT."""
    BROKEN_PIPE = 141
    """128 + SIGPIPE."""


def print_error(error: UserError) -> None:
    """Print the message of an error as one line on stderr; control characters are escaped."""
    print(f"nmt: {printable(' '.join(str(error).split()))}", file=sys.stderr)


@contextmanager
def exit_on_error() -> Iterator[None]:
    """Exit without a traceback on a `UserError`, a broken pipe or Ctrl-C."""
    try:
        yield
    except UserError as error:
        print_error(error)
        sys.exit(ExitStatus.USER_ERROR)
    except BrokenPipeError:  # the reader has closed its end, as in `nmt translate | head`
        discard_output()
        sys.exit(ExitStatus.BROKEN_PIPE)
    except KeyboardInterrupt as interruption:
        _print_interruption(interruption)
        sys.exit(ExitStatus.INTERRUPTED)


def _print_interruption(interruption: KeyboardInterrupt) -> None:
    """Print that Ctrl-C ended the command, and the remarks in the exception's arguments."""
    print_error(UserError("; ".join(["interrupted", *map(str, interruption.args)])))


def discard_output() -> None:
    """Connect standard output to /dev/null, so that Python's last flush succeeds."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stdout.flush()


@contextmanager
def exit_quickly() -> Iterator[None]:
    """End the process on `SystemExit`, after all handlers of `atexit`, without freeing its memory.

    Freeing the modules of torch one by one takes longer than a short translation. If a thread still
    runs, Python exits as usual.
    """
    try:
        yield
    except SystemExit as ending:
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C in a handler prints no traceback
        if threading.active_count() > 1 or not isinstance(ending.code, int | None):
            raise
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                stream.flush()
        os._exit(ending.code or 0)


def under_torchrun() -> bool:
    """Return whether this is one of several processes that torchrun started."""
    return os.environ.get("WORLD_SIZE", "1") != "1"


def is_printing_process() -> bool:
    """Return whether this process prints the results that all processes share."""
    return not under_torchrun() or os.environ.get("RANK", "0") == "0"


def join_processes() -> None:
    """Join the other processes of torchrun, if there are any.

    Raises:
        UserError: They cannot be reached.
    """
    if under_torchrun():
        from nmt import processes  # imported late because it loads torch

        processes.join()


@contextmanager
def exit_together() -> Iterator[None]:
    """Under torchrun, end this process at once on any exception; otherwise have no effect.

    Only the first process that fails prints its error, because its failure usually causes those of
    the others. ``os._exit`` skips cleanup that could wait for another process. Torchrun then stops
    the other processes.
    """
    if not under_torchrun():
        yield
        return
    try:
        yield
    except UserError as error:
        _exit_now(ExitStatus.USER_ERROR, partial(print_error, error))
    except KeyboardInterrupt as interruption:
        _exit_now(ExitStatus.INTERRUPTED, partial(_print_interruption, interruption))
    # Of any type: the other processes must not wait for this one. The traceback is printed.
    except Exception as error:
        _exit_now(ExitStatus.FAILED, partial(_print_failure, error))


def _exit_now(status: ExitStatus, print_reason: Callable[[], None]) -> NoReturn:
    from nmt import processes

    if processes.first_to_fail():
        print_reason()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _print_failure(error: Exception) -> None:
    from nmt import processes

    if not processes.is_loss_of_another(error):
        traceback.print_exception(error)
        return
    lost = processes.lost_processes()
    reason = (
        f"{lost} of this training was killed"
        if lost
        else "another process of this training has ended or does not respond"
    )
    print_error(
        UserError(
            f"{reason}, so all processes exit ({error}); the last checkpoint is intact: run the "
            "same command to resume"
        )
    )
