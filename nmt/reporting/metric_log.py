"""Metric logs record the numbers, texts and heatmaps of a run while it trains.

A log is a resource: the code that opens it closes it, in `finally` or with `contextlib.closing`.
`step` counts updates. In distributed training only one process writes; the others use
`MetricLogs([])`.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from nmt.durable_file import sync_folder, write_durably

if TYPE_CHECKING:
    from nmt.reporting.heatmaps.heatmap import Heatmap


_LONGEST_LINE = 1 << 20  # bytes; most lines have a few hundred


class MetricLog(Protocol):
    """Records numbers, texts and heatmaps of a run. A log ignores what it cannot represent."""

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Record numbers measured after update `step`, by name, e.g. "train/loss"."""

    def text(self, step: int, tag: str, text: str) -> None:
        """Record a text, such as sample translations, in Markdown."""

    def heatmap(self, step: int, tag: str, heatmap: Heatmap) -> None:
        """Record an attention heatmap."""

    def flush(self) -> None:
        """Flush the records to the disk, so that they survive a loss of power if possible."""

    def best(self, step: int, scores: Mapping[str, float]) -> None:
        """Record the scores of the best model so far, by name, e.g. "valid/bleu"."""

    def finished(self, step: int, scores: Mapping[str, float]) -> None:
        """Record the scores of the final test; nothing follows."""

    def close(self) -> None:
        """Write buffered data and close the log."""


class JsonLinesLog:
    """JSON lines such as `{"step": 100, "time": 1700000000.0, "train/loss": 2.3}`.

    Each line is written immediately, so a killed run loses at most the line that it was writing.
    After `flush` the lines survive a loss of power, too. Every line is strict JSON: numbers that
    are not finite become the strings "nan", "inf" and "-inf". `time` is in seconds since 1970.
    Texts and heatmaps are ignored.

    Args:
        path: the file; the file and its folder are created if missing.
        resume_step: the step of the checkpoint from which training resumes. Later lines are
            dropped, because the resumed run writes them again. None keeps all lines.
        clock: returns the time in seconds since 1970.

    Raises:
        ValueError: a line other than the last is not a line of metrics.
    """

    def __init__(
        self, path: Path, resume_step: int | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._is_new = not path.exists()
        if not self._is_new:
            _rewrite(path, resume_step)
        self._path, self._clock = path, clock
        self._file = path.open("a", encoding="utf-8")

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Append one line.

        Raises:
            ValueError: a value is named "step" or "time", or the log is closed.
        """
        if reserved := {"step", "time"} & values.keys():
            raise ValueError(
                f"metrics cannot be named {sorted(reserved)}: every line already has these keys"
            )
        row: dict[str, float | str] = {"step": step, "time": round(self._clock(), 3)}
        row.update((name, _strict(float(value))) for name, value in values.items())
        self._file.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")
        self._file.flush()

    def text(self, step: int, tag: str, text: str) -> None:
        """Ignore the text."""

    def heatmap(self, step: int, tag: str, heatmap: Heatmap) -> None:
        """Ignore the heatmap."""

    def flush(self) -> None:
        """Flush the lines and the folder entry of a new file to the disk."""
        os.fsync(self._file.fileno())
        if self._is_new:
            sync_folder(self._path.parent)
            self._is_new = False

    def best(self, step: int, scores: Mapping[str, float]) -> None:
        """Ignore the scores, because `scalars` has recorded them."""

    def finished(self, step: int, scores: Mapping[str, float]) -> None:
        """Ignore the scores, because the summary of the run has them."""

    def close(self) -> None:
        """Close the file. Closing again has no effect."""
        self._file.close()


class MetricLogs:
    """Several logs as one. An empty sequence is allowed and records nothing."""

    def __init__(self, logs: Sequence[MetricLog]) -> None:
        self._logs = tuple(logs)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Record numbers in every log."""
        for log in self._logs:
            log.scalars(step, values)

    def text(self, step: int, tag: str, text: str) -> None:
        """Record a text in every log."""
        for log in self._logs:
            log.text(step, tag, text)

    def heatmap(self, step: int, tag: str, heatmap: Heatmap) -> None:
        """Record a heatmap in every log."""
        for log in self._logs:
            log.heatmap(step, tag, heatmap)

    def flush(self) -> None:
        """Flush every log."""
        for log in self._logs:
            log.flush()

    def best(self, step: int, scores: Mapping[str, float]) -> None:
        """Record the best model's scores in every log."""
        for log in self._logs:
            log.best(step, scores)

    def finished(self, step: int, scores: Mapping[str, float]) -> None:
        """Record the final scores in every log."""
        for log in self._logs:
            log.finished(step, scores)

    def close(self) -> None:
        """Close every log. The error of a log is raised after the others are closed."""
        with ExitStack() as stack:
            for log in reversed(self._logs):
                stack.callback(log.close)


def read_metrics(path: Path) -> list[dict[str, float]]:
    """Read the lines of a `JsonLinesLog`. The strings "nan" and "inf" become floats again.

    An incomplete last line is skipped.

    Raises:
        ValueError: another line is not a line of metrics.
    """
    return [{name: float(value) for name, value in row.items()} for _, row in _read_lines(path)]


def _read_lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every complete line as a text and as its JSON object."""
    with path.open("rb") as file:
        for number in itertools.count(1):
            line = file.readline(_LONGEST_LINE)
            if len(line) < _LONGEST_LINE and not line.endswith(b"\n"):
                return  # the end of the file, or an incomplete last line
            yield _parse(path, number, line.removesuffix(b"\n"))


def _parse(path: Path, number: int, line: bytes) -> tuple[str, dict[str, Any]]:
    try:
        text = line.decode("utf-8")
        row = json.loads(text)
    except (ValueError, RecursionError):  # undecodable bytes, broken JSON, or nested too deeply
        row = None
    if not isinstance(row, dict) or not isinstance(row.get("step"), int):
        raise ValueError(
            f"{path}, line {number}, is not a line of metrics: {line[:60]!r}. "
            "Remove the line or move the file away"
        )
    return text, row


def _rewrite(path: Path, last_step: int | None) -> None:
    """Drop an incomplete last line and all lines after `last_step`."""
    kept = [
        line for line, row in _read_lines(path) if last_step is None or row["step"] <= last_step
    ]
    write_durably(path, "".join(f"{line}\n" for line in kept).encode())


def _strict(value: float) -> float | str:
    """Return a value that strict JSON can represent."""
    return value if math.isfinite(value) else str(value)
