"""The progress of a command on stderr, only if that is a terminal; pipes and files get nothing."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self, TextIO

from nmt.process_exit import is_printing_process
from nmt.reporting.progress_line import ProgressLine, StageStatus, TextStatus


class Advance(Protocol):
    """Shows how far a stage is."""

    def __call__(self, done: int, share: float | None = None) -> None:
        """Show the number of items so far, and the share of the work if items differ in cost."""


class CommandProgress:
    """One line that names what a command loads, and then counts what it has done.

    A command opens it before it loads torch. The line is erased at the end, so that a terminal
    shows only results; after Ctrl-C it stays, because it shows how far the command came. On a
    terminal without control sequences (TERM=dumb) plain lines appear every ten seconds.

    Only the first of the processes that torchrun started shows anything.
    """

    def __init__(
        self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Write to a stream, by default `sys.stderr`, if it is a terminal."""
        stream = sys.stderr if stream is None else stream
        shown = stream is not None and stream.isatty() and is_printing_process()
        self._line = ProgressLine(stream, clock=clock) if shown else None
        self._clock = clock

    @property
    def shown(self) -> bool:
        """Whether anything is shown."""
        return self._line is not None

    def show(self, verb: str, name: object = "") -> None:
        """Show at once what the command does, e.g. "loading" and the path of a model."""
        if self._line is not None:
            self._line.clear()
            self._line.update(TextStatus(verb, str(name)))

    def stage(self, name: str, total: int | None, unit: str = "sentences") -> Advance:
        """Begin a stage, e.g. "translating", and return the function that shows its progress.

        Args:
            name: What the command does.
            total: Number of items; None: it is not known.
            unit: What the items are.
        """
        began = self._clock()
        line = self._line

        def advance(done: int, share: float | None = None) -> None:
            if line is not None and self._line is not None:
                seconds = self._clock() - began
                line.update(StageStatus(name, done, total, seconds, unit, share))

        if line is not None:
            line.clear()
        advance(0)
        return advance

    def clear(self) -> None:
        """Erase the line before other text is written; the next progress shows it again."""
        if self._line is not None:
            self._line.clear()

    def close(self) -> None:
        """Erase the line and show nothing more: from now on other output shows the progress."""
        self.clear()
        self._line = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._line is None:
            return
        if not isinstance(exception, KeyboardInterrupt):
            self._line.clear()
        self._line.close()
