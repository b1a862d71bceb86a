"""Metric logs: where the numbers of a run go while it trains.

A log is a resource: whoever opens it closes it, in `finally` or with `contextlib.closing`.
`step` counts updates. Only one process of a training writes; the others hold `MetricLogs([])`.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from nmt.durable_file import atomic_write

if TYPE_CHECKING:
    from nmt.reporting.heatmaps.heatmap import Heatmap


class MetricLog(Protocol):
    """Takes numbers, texts and heatmaps of a run; ignores what it cannot show."""

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Record numbers measured after update `step`, by name ("train/loss")."""

    def text(self, step: int, tag: str, text: str) -> None:
        """Record a text, such as sample translations, in Markdown."""

    def heatmap(self, step: int, tag: str, heatmap: Heatmap) -> None:
        """Record an attention heatmap."""

    def close(self) -> None:
        """Write what is still held back and release the log."""


class JsonLinesLog:
    """Numbers as a file of JSON lines: `{"step": 100, "time": 1700000000.0, "train/loss": 2.3}`.

    Lines are appended and flushed one by one, so a killed run loses at most the line it was
    writing. Every line is strict JSON: numbers that are not finite become the strings "nan",
    "inf" and "-inf". `time` is in seconds since 1970. Texts and heatmaps are ignored.

    Args:
        path: the file; it and its folder are made if missing.
        resume_step: the step of the checkpoint that training continues from. Later lines, which
            the continued run will write again, are dropped. None keeps all lines.
        clock: tells the time.

    Raises:
        ValueError: the file holds a line, not the last, that is no metrics line.
    """

    def __init__(
        self, path: Path, resume_step: int | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            _rewrite(path, resume_step)
        self._clock = clock
        self._file = path.open("a", encoding="utf-8")

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Append one line.

        Raises:
            ValueError: a value is named "step" or "time", or the log is closed.
        """
        if reserved := {"step", "time"} & values.keys():
            raise ValueError(f"metrics cannot be named {sorted(reserved)}: every line has these")
        row: dict[str, float | str] = {"step": step, "time": round(self._clock(), 3)}
        row.update((name, _strict(float(value))) for name, value in values.items())
        self._file.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")
        self._file.flush()

    def text(self, step: int, tag: str, text: str) -> None:
        """Ignore the text."""

    def heatmap(self, step: int, tag: str, heatmap: Heatmap) -> None:
        """Ignore the heatmap."""

    def close(self) -> None:
        """Close the file; closing twice does no harm."""
        self._file.close()


class MetricLogs:
    """Several logs as one. None at all is allowed, and records nothing."""

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

    def close(self) -> None:
        """Close every log, also when one of them fails; the failure is raised afterwards."""
        with ExitStack() as stack:
            for log in reversed(self._logs):
                stack.callback(log.close)


def read_metrics(path: Path) -> list[dict[str, float]]:
    """Read the lines of a `JsonLinesLog`, "nan" and "inf" as floats again.

    A last line that was never finished is left out.

    Raises:
        ValueError: another line is no metrics line.
    """
    return [{name: float(value) for name, value in row.items()} for _, row in _read_lines(path)]


def _read_lines(path: Path) -> list[tuple[str, dict[str, Any]]]:
    """Every finished line, as written and as parsed."""
    lines = path.read_bytes().split(b"\n")
    finished = lines[:-1]  # what follows the last line break was cut short, or is nothing
    return [_parse(path, number, line) for number, line in enumerate(finished, start=1)]


def _parse(path: Path, number: int, line: bytes) -> tuple[str, dict[str, Any]]:
    try:
        text = line.decode("utf-8")
        row = json.loads(text)
    except ValueError:  # what both undecodable bytes and broken JSON raise
        row = None
    if not isinstance(row, dict) or not isinstance(row.get("step"), int):
        raise ValueError(
            f"{path}, line {number}, is no line of metrics: {line[:60]!r}. "
            "Remove that line, or move the file away"
        )
    return text, row


def _rewrite(path: Path, last_step: int | None) -> None:
    """Drop an unfinished last line, and all lines after `last_step`."""
    kept = [
        line for line, row in _read_lines(path) if last_step is None or row["step"] <= last_step
    ]
    with atomic_write(path) as partial:
        partial.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8", newline="\n")


def _strict(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)
