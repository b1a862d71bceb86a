"""Starting processes that leave Ctrl-C to the one that started them."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def signals_held_back() -> Iterator[None]:
    """Block what asks a run to stop; processes started inside keep it blocked for good.

    So they are deaf to it from their first instruction on, before they could ignore it themselves.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    asking = {signal.SIGINT, signal.SIGTERM, signal.SIGUSR1}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, asking)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
