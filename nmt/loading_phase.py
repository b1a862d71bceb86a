"""The time in which a command loads its libraries and its model, before its work begins.

The garbage collector pauses: torch, Hydra and the settings create several hundred thousand objects
that live as long as the process, and visiting them repeatedly would take a fifth of the time of a
short command.

Ctrl-C ends the process at once: nothing has been written, and libraries ignore an exception that is
raised in the middle of their import.
"""

import gc
import os
import signal
import sys
import threading
from types import FrameType

from nmt.process_exit import ExitStatus, under_torchrun

_INHERITED = (signal.SIG_DFL, signal.default_int_handler)  # not ignored, as by nohup


class _Phase:
    collects = True
    interrupts = True


def begin() -> None:
    """Begin to load; in a process that has loaded torch nothing changes."""
    if "torch" in sys.modules or threading.current_thread() is not threading.main_thread():
        return
    if gc.isenabled():
        gc.disable()
        _Phase.collects = False
    if signal.getsignal(signal.SIGINT) in _INHERITED:
        signal.signal(
            signal.SIGINT, signal.default_int_handler if under_torchrun() else _end_process
        )
        _Phase.interrupts = False


def end() -> None:
    """Begin to work: the collector skips what was loaded, and Ctrl-C is `KeyboardInterrupt`."""
    if not _Phase.collects:
        gc.freeze()
        gc.enable()
        _Phase.collects = True
    if not _Phase.interrupts:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        _Phase.interrupts = True


def _end_process(number: int, frame: FrameType | None) -> None:
    """Print one line, below the line that the terminal shows, and exit."""
    line = b"\n" if os.isatty(2) else b""
    try:
        os.write(2, line + b"nmt: interrupted\n")
    finally:
        os._exit(ExitStatus.INTERRUPTED)
