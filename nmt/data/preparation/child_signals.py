"""Blocks signals for child processes, so that only their parent handles Ctrl-C."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def signals_blocked() -> Iterator[None]:
    """Block SIGINT, SIGTERM and SIGUSR1; processes started in the block keep them blocked.

    Such a process is protected from its first instruction on. It could ignore the signals itself
    only later.
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
