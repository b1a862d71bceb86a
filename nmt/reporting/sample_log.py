"""A metric log of the sample translations of all validations, from which reports are made."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nmt.durable_file import write_durably
from nmt.reporting.heatmaps.heatmap import Heatmap
from nmt.reporting.sample_table import read_sample_table

_LONGEST_LINE = 1 << 24  # bytes


class SampleLog:
    """A `MetricLog` of texts only: JSON lines ``{"step": 100, "tag": ..., "rows": [[...], ...]}``.

    A row has source, reference and translation.

    Args:
        path: the file; it is created with the first text.
        resume_step: the step of the checkpoint from which training resumes; later lines are
            dropped. None keeps all lines.
    """

    def __init__(self, path: Path, resume_step: int | None = None) -> None:
        self._path = path
        if os.path.exists(path):
            last = math.inf if resume_step is None else resume_step
            kept = [line for line in read_samples(path) if line["step"] <= last]
            write_durably(path, "".join(f"{_line(row)}\n" for row in kept).encode())

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Ignore numbers."""

    def text(self, step: int, tag: str, text: str) -> None:
        """Append a table of samples."""
        row = {"step": step, "tag": tag, "rows": read_sample_table(text)}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(f"{_line(row)}\n")

    def heatmap(self, step: int, tag: str, heatmap: Heatmap) -> None:
        """Ignore heatmaps."""

    def best(self, step: int, scores: Mapping[str, float]) -> None:
        """Ignore numbers."""

    def finished(self, step: int, scores: Mapping[str, float]) -> None:
        """Ignore numbers."""

    def flush(self) -> None:
        """Do nothing, because no file stays open."""

    def close(self) -> None:
        """Do nothing, because no file stays open."""


def read_samples(path: Path) -> list[dict[str, Any]]:
    """Read the lines of a `SampleLog`; lines that are incomplete or damaged are skipped."""
    found = []
    with path.open("rb") as file:
        while line := file.readline(_LONGEST_LINE):
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(row, dict) and isinstance(row.get("step"), int) and _are_rows(row):
                found.append(row)
    return found


def _are_rows(line: Mapping[str, Any]) -> bool:
    rows = line.get("rows")
    return isinstance(rows, list) and all(
        isinstance(row, list) and len(row) == 3 and all(isinstance(text, str) for text in row)
        for row in rows
    )


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False)
