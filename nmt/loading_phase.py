"""The time in which a command loads its libraries and its model, before its work begins.

In this phase, the garbage collector is off. Torch, Hydra and the settings create several hundred
thousand objects that live as long as the process. Visiting them repeatedly would take a fifth of
the time of a short command.

Ctrl-C ends the process at once. Nothing has been written yet, and libraries ignore an exception
that is raised during their import.
"""

import gc
import os
import signal
import sys
import threading
from types import FrameType

from nmt.process_exit import ExitStatus, under_torchrun

# SIGINT may also be ignored, e.g. in a background job of a shell script; then it stays ignored.
_INHERITED = (signal.SIG_DFL, signal.default_int_handler)


class _Phase:
    collects = True
    interrupts = True


def begin() -> None:
    """Begin to load; this has no effect in a process that has already loaded torch."""
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
    """Begin to work: the collector skips loaded objects; Ctrl-C raises `KeyboardInterrupt`."""
    if not _Phase.collects:
        gc.freeze()
        gc.enable()
        _Phase.collects = True
    if not _Phase.interrupts:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        _Phase.interrupts = True


def _end_process(number: int, frame: FrameType | None) -> None:
    """Print one line, on a new line of a terminal, and exit."""
    line = b"\n" if os.isatty(2) else b""
    try:
        os.write(2, line + b"nmt: interrupted\n")
    finally:
        os._exit(ExitStatus.INTERRUPTED)
