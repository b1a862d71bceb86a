"""The command under torchrun: many processes, of which one says what there is to say."""

import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import NoReturn

from nmt.cli.error_messages import USER_ERROR, print_error
from nmt.errors import UserError

FAILED = 1
INTERRUPTED = 130


def launched() -> bool:
    """Whether this process is one of several that torchrun has started."""
    return os.environ.get("WORLD_SIZE", "1") != "1"


def speaks() -> bool:
    """Whether this process is the one that prints what all of them know."""
    return not launched() or os.environ.get("RANK", "0") == "0"


def join() -> None:
    """Meet the other processes, if there are any.

    Raises:
        UserError: They cannot be reached.
    """
    if launched():
        from nmt import processes  # only now: it loads torch

        processes.join()


@contextmanager
def one_end() -> Iterator[None]:
    """End all processes of a training, when one fails, with its error shown once.

    The first to fail says why; the others, which then miss it, end without a word. None waits for
    anything once its files are closed, for torchrun is about to stop it. Alone, change nothing.
    """
    if not launched():
        yield
        return
    try:
        yield
    except UserError as error:
        _end(USER_ERROR, partial(print_error, error))
    except KeyboardInterrupt:
        _end(INTERRUPTED, lambda: print("nmt: interrupted", file=sys.stderr))
    except Exception as error:  # whatever it is, the others must not wait for this process
        _end(FAILED, partial(_print_failure, error))


def _end(status: int, say: Callable[[], None]) -> NoReturn:
    from nmt import processes

    if processes.first_to_fail():
        say()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _print_failure(error: Exception) -> None:
    from nmt import processes

    if not processes.is_loss_of_another(error):
        traceback.print_exception(error)
        return
    lost = processes.lost_processes()
    who = f"{lost} of this training was killed" if lost else "another process of this training"
    print_error(
        UserError(
            f"{who}{'' if lost else ' has ended or is silent'}, and so all of them end ({error}); "
            "the last checkpoint is intact: the same command goes on with it"
        )
    )
