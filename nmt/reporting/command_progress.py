"""The progress of a command on stderr if stderr is a terminal; pipes and files get nothing."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self, TextIO

from nmt.process_exit import is_printing_process
from nmt.reporting.progress_line import ProgressLine, StageStatus, TextStatus


class Advance(Protocol):
    """A function that shows the progress of a stage."""

    def __call__(self, done: int, share: float | None = None) -> None:
        """Show the number of items so far; ``share`` is the done share of the work, 0 to 1.

        Without ``share``, all items are assumed to cost the same.
        """


class CommandProgress:
    """One line that first names what a command loads, and then counts the items that are done.

    A command opens it before it loads torch. The line is erased at the end, so that a terminal
    shows only results. After Ctrl-C the line stays and shows the progress so far. On a terminal
    without control sequences (TERM=dumb) plain lines appear every ten seconds.

    Only the first of the processes that torchrun started shows anything.
    """

    def __init__(
        self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Write to a stream if it is a terminal; None: `sys.stderr`."""
        stream = sys.stderr if stream is None else stream
        shown = stream is not None and stream.isatty() and is_printing_process()
        self._line = ProgressLine(stream, clock=clock) if shown else None
        self._clock = clock

    @property
    def shown(self) -> bool:
        """Whether anything is shown."""
        return self._line is not None

    def show(self, verb: str, name: object = "") -> None:
        """Show immediately what the command does, e.g. "loading" and the path of a model."""
        if self._line is not None:
            self._line.clear()
            self._line.update(TextStatus(verb, str(name)))

    def stage(self, name: str, total: int | None, unit: str = "sentences") -> Advance:
        """Begin a stage, e.g. "translating", and return the function that shows its progress.

        Args:
            name: What the command does.
            total: Number of items; None: unknown.
            unit: Name of the items.
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
        """Erase the line and show nothing more, because other output now shows the progress."""
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
