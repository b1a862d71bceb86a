"""The log file of a run: the messages of the package's loggers, with their times."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from nmt.printable import printable

LOGGER_NAME = "nmt"
LINE_FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"


class RunLog:
    """An open log file. `logger` and every logger below "nmt" write to it."""

    def __init__(self, handler: _RunLogHandler) -> None:
        self.logger = logging.getLogger(LOGGER_NAME)
        self._handler = handler

    def close(self) -> None:
        """Close the file and restore the logger's settings. Closing again has no effect."""
        _detach(self.logger, self._handler)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def open_run_log(path: Path) -> RunLog:
    """Append the records of the logger "nmt", from level INFO, to the file `path`.

    While the log is open, the root logger's handlers get no records, so that no record interrupts
    the progress line. One log is open at a time: if an earlier run of the same process (in a
    sweep) left its log open, that log is closed first.
    """
    logger = logging.getLogger(LOGGER_NAME)
    for handler in list(logger.handlers):
        if isinstance(handler, _RunLogHandler):
            _detach(logger, handler)
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = _RunLogHandler(path, logger)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    return RunLog(handler)


class _PrintableFormatter(logging.Formatter):
    """Escapes control characters in names and sentences."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record), keep_breaks=True)


class _RunLogHandler(logging.FileHandler):
    """A file handler that stores the logger's previous settings."""

    def __init__(self, path: Path, logger: logging.Logger) -> None:
        super().__init__(path, mode="a", encoding="utf-8")
        self.setFormatter(_PrintableFormatter(LINE_FORMAT))
        self.level_before = logger.level
        self.propagate_before = logger.propagate

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Raise the error of a write; the base class would print a traceback and continue."""
        error = sys.exc_info()[1]
        assert error is not None
        raise error


def _detach(logger: logging.Logger, handler: _RunLogHandler) -> None:
    if handler not in logger.handlers:
        return
    logger.removeHandler(handler)
    logger.setLevel(handler.level_before)
    logger.propagate = handler.propagate_before
    handler.close()
