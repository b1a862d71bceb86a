"""How the command line ends when something is wrong: one line, exit status 2, no traceback."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from nmt.errors import UserError

USER_ERROR = 2
"""Exit status where the input is at fault."""


def print_error(error: UserError) -> None:
    """Say what is wrong, on one line of stderr."""
    print(f"nmt: {' '.join(str(error).split())}", file=sys.stderr)


@contextmanager
def reported() -> Iterator[None]:
    """Turn a `UserError`, a broken pipe or Ctrl-C into a clean end of the process."""
    try:
        yield
    except UserError as error:
        print_error(error)
        sys.exit(USER_ERROR)
    except BrokenPipeError:  # the reader of our output has gone, as in `nmt translate | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at exit
        sys.exit(141)
    except KeyboardInterrupt:
        print("nmt: interrupted", file=sys.stderr)
        sys.exit(130)
