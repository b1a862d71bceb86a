"""The progress line: one line rewritten in place on a terminal, occasional lines in a pipe."""

from __future__ import annotations

import math
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TextIO

from nmt.printable import printable
from nmt.reporting.text_width import cut, cut_start, text_width

LINE_WIDTH = 80
REDRAW_SECONDS = 0.1
CLEAR_TO_END = "\x1b[K"
_BAR = 12  # characters


@dataclass(frozen=True)
class TrainingStatus:
    """The progress of training.

    Args:
        update: number of optimizer updates so far.
        max_updates: number of updates at which training ends, None if there is no limit.
        epoch: the current epoch, from 1.
        loss: nats per target token.
        learning_rate: learning rate of the latest update.
        gradient_norm: norm before clipping.
        tokens_per_second: target tokens per second, of all processes together.
        seconds_left: estimated time left, None if unknown.
    """

    update: int
    max_updates: int | None
    epoch: int
    loss: float
    learning_rate: float
    gradient_norm: float
    tokens_per_second: float
    seconds_left: float | None


def format_status(status: TrainingStatus, width: int = LINE_WIDTH) -> str:
    """Format a status as one line of at most `width` characters.

    If the line is too long, parts are removed in this order: gradient norm, epoch, learning rate,
    speed, time left, loss.
    """
    parts = {
        "update": _format_update(status.update, status.max_updates),
        "epoch": f"ep {_short(status.epoch)}",
        "loss": f"loss {_decimal(status.loss, 3)}",
        "learning rate": f"lr {status.learning_rate:.1e}",
        "gradient": f"grad {_decimal(status.gradient_norm, 2)}",
        "speed": f"{_short(status.tokens_per_second)} tok/s",
    }
    if status.seconds_left is not None:
        parts["left"] = f"ETA {format_duration(status.seconds_left)}"
    for name in ("gradient", "epoch", "learning rate", "speed", "left", "loss"):
        if len("  ".join(parts.values())) <= width:
            break
        parts.pop(name, None)
    return "  ".join(parts.values())[:width]


@dataclass(frozen=True)
class StageStatus:
    """The progress of a stage, such as the preparation of a corpus or a validation.

    Args:
        stage: name of the stage, e.g. "encoding".
        done: number of items so far.
        total: number of all items, None if unknown.
        seconds: time spent on the stage so far.
        unit: name of the items.
        share: done share of the work, from 0 to 1, if items differ in cost; None: `done / total`.
    """

    stage: str
    done: int
    total: int | None
    seconds: float
    unit: str = "pairs"
    share: float | None = None


@dataclass(frozen=True)
class TextStatus:
    """What a command does now, e.g. "loading", and the name of the file; "" without a file."""

    verb: str
    name: str = ""


Status = TrainingStatus | StageStatus | TextStatus


def format_stage(status: StageStatus, width: int = LINE_WIDTH) -> str:
    """Format a stage as a line of at most `width` columns, with a bar if `total` is known.

    If the line is too long, parts are removed in this order: bar, speed, counts, time left.
    """
    speed = status.done / max(status.seconds, 1e-9)
    rate = f"{_short(speed)} {status.unit}/s" if status.done else ""
    stage = f"{status.stage:<9}"
    if not status.total and status.share is None:
        return cut(f"{stage}{status.done:>13,} {status.unit}  {rate}".rstrip(), width)
    share = status.done / status.total if status.share is None and status.total else status.share
    share = min(1.0, max(0.0, share or 0.0))
    left = format_duration(status.seconds * (1 - share) / share) if share else "?"
    parts = {
        "bar": f"[{'#' * int(share * _BAR):<{_BAR}}]",
        "share": f"{share:>4.0%}",
        "counts": f" {status.done:,}{f'/{status.total:,}' if status.total else ''}",
        "speed": f" {rate}",
        "left": f" ETA {left}",
    }
    for name in ("", "bar", "speed", "counts", "left"):
        parts.pop(name, None)
        line = " ".join([stage, *(part for part in parts.values() if part.strip())])
        if text_width(line) <= width:
            break
    return cut(line, width)


def format_text(status: TextStatus, width: int = LINE_WIDTH) -> str:
    """Format a status in at most `width` columns; the beginning of a long path is cut off."""
    name = cut_start(printable(status.name), width - len(status.verb) - len("  ..."))
    return cut(f"{status.verb} {name} ..." if name else f"{status.verb} ...", width)


def format_duration(seconds: float) -> str:
    """Format seconds as "0:07", "12:40", "3:05:00" or "2d 3h"; "?" if they are not finite."""
    if not math.isfinite(seconds):
        return "?"
    minutes, second = divmod(max(0, round(seconds)), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days > 999:
        return ">999d"
    if days:
        return f"{days}d {hour}h"
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


class ProgressLine:
    """Shows the latest status.

    On a terminal, one line is rewritten in place at most ten times per second. The last status
    stays after the progress line is closed. On any other stream, a line is written every
    `every_seconds`, before each message and on closing.

    Args:
        stream: the output stream, usually `sys.stderr`.
        every_seconds: time between lines on a stream that is not a terminal.
        clock: returns the time in seconds.
    """

    def __init__(
        self,
        stream: TextIO,
        every_seconds: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = stream
        self._live = stream.isatty() and os.environ.get("TERM") != "dumb"
        self._interval = REDRAW_SECONDS if self._live else every_seconds
        self._clock = clock
        self._shown_at: float | None = None
        self._pending: Status | None = None  # not shown yet
        self._line = ""  # what the terminal shows now
        self._shown: Status | None = None
        self._stays: Status | None = None  # the training status to show again after a stage

    @property
    def live(self) -> bool:
        """Whether one line is rewritten in place."""
        return self._live

    def update(self, status: Status) -> None:
        """Show `status` now, or later if less time than the interval has passed."""
        self._pending = status
        now = self._clock()
        if self._shown_at is None or now - self._shown_at >= self._interval:
            self._show()

    def message(self, text: str) -> None:
        """Print a permanent line: above the live line, or in a pipe after the latest status.

        In a pipe, a message about an update therefore always follows the status of that update.
        """
        text = printable(text, keep_breaks=True)
        if self._live:
            self._end_stage()
        else:
            self._show()
        if self._line:
            self._stream.write(f"\r{CLEAR_TO_END}{text}\n{self._line}")
        else:
            self._stream.write(f"{text}\n")
        self._stream.flush()

    def clear(self) -> None:
        """Erase the live line, so that other text can be written; lines in a pipe stay."""
        self._pending = self._shown_at = None
        if self._line:
            self._stream.write(f"\r{CLEAR_TO_END}")
            self._line = ""
            self._stream.flush()

    def close(self) -> None:
        """Show the latest status if it is not shown yet, and move the cursor to a new line."""
        self._show()
        if self._line:
            self._stream.write("\n")
            self._line = ""
        self._stream.flush()

    def _end_stage(self) -> None:
        """Replace the status of a stage by the latest status of training, if there is one."""
        if isinstance(self._pending, StageStatus | TextStatus):
            self._pending = None
        if isinstance(self._shown, StageStatus | TextStatus):
            self._shown = self._stays
            self._line = "" if self._stays is None else self._fitted(self._stays)
            if not self._line:
                self._stream.write(f"\r{CLEAR_TO_END}")

    def _fitted(self, status: Status) -> str:
        # Leave the last column empty, because some terminals wrap as soon as it is filled.
        return _format(status, min(LINE_WIDTH, _columns(self._stream) - 1))

    def _show(self) -> None:
        if self._pending is None:
            return
        self._shown = self._pending
        if isinstance(self._pending, TrainingStatus):
            self._stays = self._pending
        self._shown_at = self._clock()
        if self._live:
            self._line = self._fitted(self._pending)
            self._stream.write(f"\r{self._line}{CLEAR_TO_END}")
        else:
            self._stream.write(f"{_format(self._pending)}\n")
        self._stream.flush()
        self._pending = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _format(status: Status, width: int = LINE_WIDTH) -> str:
    """Format a status of training, of a stage or of a command."""
    if isinstance(status, StageStatus):
        return printable(format_stage(status, width))
    if isinstance(status, TextStatus):
        return printable(format_text(status, width))
    return format_status(status, width)


def _columns(stream: TextIO) -> int:
    """Return the width of the terminal of `stream`, which may differ from that of stdout."""
    try:
        columns = os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):
        columns = 0
    return columns or shutil.get_terminal_size().columns


def _format_update(update: int, max_updates: int | None) -> str:
    if max_updates is None:
        return f"{update:>9,}"
    total = f"{max_updates:,}"
    return f"{update:>{max(len(total), 7)},}/{total}"


def _decimal(value: float, digits: int) -> str:
    """Format a number with fixed decimals, or as a power of ten if large; at most 8 characters."""
    if not math.isfinite(value) or abs(value) < 1000:
        return f"{value:.{digits}f}"
    return f"{value:.1e}"


def _short(number: float) -> str:
    """Format a count in at most 7 characters, e.g. 6,210, 123k, 4.5M or 1.2e+10."""
    if not math.isfinite(number) or abs(number) >= 999_500_000:
        return f"{number:.1e}"
    if abs(number) >= 999_500:
        return f"{number / 1e6:.1f}M"
    return f"{number:,.0f}" if abs(number) < 99_999.5 else f"{number / 1e3:.0f}k"
