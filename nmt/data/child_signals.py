"""Starts child processes that leave the handling of Ctrl-C to their parent."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def signals_held_back() -> Iterator[None]:
    """Block the signals that stop a run; processes started in the block keep them blocked.

    Such a process is protected from its first instruction on, before it could ignore the signals
    itself.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    stopping = {signal.SIGINT, signal.SIGTERM, signal.SIGUSR1}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, stopping)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
