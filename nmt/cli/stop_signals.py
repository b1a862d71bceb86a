"""The signals that ask a training to save and stop."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from nmt.process_exit import under_torchrun


class StopRequests:
    """The signals that have asked a training to stop."""

    def __init__(self) -> None:
        """Start without signals."""
        self._received = False
        self._saves = False

    def __call__(self) -> bool:
        """Return whether a signal has arrived."""
        return self._received

    @contextmanager
    def saved(self) -> Iterator[None]:
        """In the block, Ctrl-C lets the training save and stop; outside, it stops immediately."""
        self._saves = True
        try:
            yield
        finally:
            self._saves = False

    def note(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal."""
        together = under_torchrun()
        if number == signal.SIGINT and not together and (self._received or not self._saves):
            raise KeyboardInterrupt
        if not self._received and self._saves and not together:
            print(
                "\nnmt: stopping after this update; press Ctrl-C again to stop immediately",
                file=sys.stderr,
            )
        self._received = True


@contextmanager
def collect_stop_signals() -> Iterator[StopRequests]:
    """Collect signals, so that a training can finish its update, save and stop.

    They are SIGINT (Ctrl-C), SIGTERM, and SIGUSR1, which Slurm sends before a job's time limit
    (``sbatch --signal=USR1@120``; ``B:USR1`` would reach only the batch script). Ctrl-C ends the
    process immediately if it comes after another signal, or before or after the training loop.
    Slurm sends several warnings; the later ones have no effect.

    Under torchrun no signal ends the process at once, and the handlers stay until it exits:
    torchrun forwards Ctrl-C a second time, and signals the processes that exit last.

    Only the main thread can handle signals. In other threads, no signal is collected.
    """
    requests = StopRequests()
    if threading.current_thread() is not threading.main_thread():
        yield requests
        return

    names = ("SIGINT", "SIGTERM", "SIGUSR1")  # Windows lacks the last one
    signals = [getattr(signal, name) for name in names if hasattr(signal, name)]
    previous = [signal.signal(number, requests.note) for number in signals]
    try:
        yield requests
    finally:
        for number, handler in zip(signals, previous, strict=True):
            if not under_torchrun():
                signal.signal(number, handler)
