"""The messages of a run, on the terminal above the progress line and in train.log."""

import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from nmt.reporting.command_progress import Advance
from nmt.reporting.progress_line import ProgressLine, StageStatus, TextStatus

_STAGE_DELAY = 2.0  # seconds before a stage shows progress; most stages are shorter


class Console:
    """Writes messages to the terminal, and to the log file after that is opened."""

    def __init__(self, line: ProgressLine) -> None:
        """Write above this progress line."""
        self.line = line
        self._log: logging.Logger | None = None
        self._messages: list[str] = []
        self._stage, self._began = "", 0.0

    def keep(self, log: logging.Logger) -> None:
        """Write the earlier messages to a log now, and from now on each message."""
        self._log = log
        for text in self._messages:
            log.info(text)

    def __call__(self, text: str) -> None:
        """Write a message of one line."""
        self.line.message(text)
        if self._log is None:
            self._messages.append(text)
        else:
            self._log.info(text)

    def progress(self, stage: str, done: int, total: int | None) -> None:
        """Show the progress of a stage that has run for more than two seconds.

        `done` and `total` count pairs; None: the total is unknown. If `done` is 0 and `total` is
        None, only the name is shown.
        """
        now = time.monotonic()
        if stage != self._stage:
            self._stage, self._began = stage, now
        if now - self._began >= _STAGE_DELAY:
            counted = StageStatus(stage, done, total, now - self._began)
            self.line.update(counted if done or total else TextStatus(stage))

    def show(self, verb: str, name: object = "") -> None:
        """Show on a terminal what a run does, e.g. "loading" and the path of a model.

        The next message or progress replaces this text.
        """
        if self.line.live:
            self.line.clear()
            self.line.update(TextStatus(verb, str(name)))

    def stage(self, name: str, total: int, unit: str = "sentences") -> Advance:
        """Begin a stage of a run, e.g. "validating"; return the function that shows its progress.

        Only a terminal shows the progress, and only after the stage has run for two seconds. The
        next message erases it.
        """
        began = time.monotonic()

        def advance(done: int, share: float | None = None) -> None:
            seconds = time.monotonic() - began
            if self.line.live and seconds >= _STAGE_DELAY:
                self.line.update(StageStatus(name, done, total, seconds, unit, share))

        return advance


@contextmanager
def open_console(*, silent: bool) -> Iterator[Console]:
    """Yield a console on standard error; a silent one prints nothing."""
    with ExitStack() as stack:
        stream = stack.enter_context(open(os.devnull, "w")) if silent else sys.stderr
        yield Console(stack.enter_context(ProgressLine(stream)))
