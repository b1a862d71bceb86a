"""The signals that ask a training to save and stop."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from nmt.process_exit import under_torchrun


@contextmanager
def collect_stop_signals() -> Iterator[list[int]]:
    """Collect signals in a list, so that a training can finish its update, save and stop.

    They are SIGINT (Ctrl-C), SIGTERM, and SIGUSR1, which Slurm sends before a job's time limit
    (``sbatch --signal=USR1@120``; ``B:USR1`` would reach only the batch script). Ctrl-C after any
    of them ends the process at once. Further warnings, of which Slurm sends several, change
    nothing.

    Under torchrun no signal ends the process at once, and the handlers stay until it exits:
    torchrun forwards Ctrl-C a second time, and signals the processes that exit last.

    Only the main thread can handle signals; in any other, the list stays empty.
    """
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return

    def note(number: int, frame: FrameType | None) -> None:
        if received and number == signal.SIGINT and not under_torchrun():
            raise KeyboardInterrupt
        received.append(number)
        if len(received) == 1 and not under_torchrun():
            print(
                "\nnmt: stopping after this update; press Ctrl-C again to stop immediately",
                file=sys.stderr,
            )

    names = ("SIGINT", "SIGTERM", "SIGUSR1")  # Windows lacks the last one
    signals = [getattr(signal, name) for name in names if hasattr(signal, name)]
    previous = [signal.signal(number, note) for number in signals]
    try:
        yield received
    finally:
        for number, handler in zip(signals, previous, strict=True):
            if not under_torchrun():
                signal.signal(number, handler)
