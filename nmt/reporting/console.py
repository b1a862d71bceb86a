"""What a run says: to the terminal and to train.log alike, above a live line of progress."""

import logging
import time

from nmt.reporting.progress_line import ProgressLine, StageStatus

_PATIENCE = 2.0  # seconds before a stage shows a line at all


class Console:
    """Says a thing to the terminal, and to a log once there is one."""

    def __init__(self, line: ProgressLine) -> None:
        """Speak above this line."""
        self.line = line
        self._log: logging.Logger | None = None
        self._said: list[str] = []
        self._stage, self._began = "", 0.0

    def keep(self, log: logging.Logger) -> None:
        """Write to a log from now on, and what was said before it was open."""
        self._log = log
        for text in self._said:
            log.info(text)

    def __call__(self, text: str) -> None:
        """Say one line."""
        self.line.message(text)
        if self._log is None:
            self._said.append(text)
        else:
            self._log.info(text)

    def progress(self, stage: str, done: int, total: int | None) -> None:
        """Show how far a stage is, if it takes long enough for anyone to wonder."""
        now = time.monotonic()
        if stage != self._stage:
            self._stage, self._began = stage, now
        if now - self._began >= _PATIENCE:
            self.line.update(StageStatus(stage, done, total, now - self._began))
