"""Reads a run folder, whether its run is finished, in training or unfinished."""

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from nmt.config.schema import Config
from nmt.errors import UserError
from nmt.reporting.metric_log import read_metrics
from nmt.run.folder import RunFolder
from nmt.run_search import is_run, run_hint

_DEEPEST = 3  # levels of folders in which runs are found
_MOST_RUNS = 1000


class RunStatus(StrEnum):
    """The status of a run."""

    FINISHED = "finished"
    TRAINING = "training"
    """A process trains the run now."""
    UNFINISHED = "unfinished"
    """The run was stopped before its end."""


@dataclass(frozen=True)
class RunRecord:
    """The content of a run folder.

    Attributes:
        path: The folder.
        config: The settings of the run.
        status: The status of the run.
        summary: The content of ``summary.json`` of a finished run, else empty.
        metrics: The lines of ``metrics.jsonl``.
        translations: The translations of the test text; None: the run has none.
    """

    path: Path
    config: Config
    status: RunStatus
    summary: Mapping[str, Any]
    metrics: Sequence[Mapping[str, Any]]
    translations: list[str] | None

    def figures(self) -> dict[str, Any]:
        """Return sizes, times and scores; None: unknown.

        Test scores are those of the summary. ``valid_bleu`` of an unfinished run is the best so
        far. ``aer`` is in percent. ``tokens_per_second`` counts target pieces and excludes the time
        of validations; ``minutes`` includes that time. ``perplexity`` is that of the test text,
        per target piece.
        """
        summary, test = self.summary, self.summary.get("test") or {}
        seconds, error = summary.get("seconds"), (summary.get("alignment") or {}).get("aer")
        return {
            "parameters": summary.get("parameters"),
            "updates": summary.get("updates", self._updates()),
            "tokens_per_second": summary.get("tokens_per_second"),
            "minutes": None if seconds is None else seconds / 60,
            "valid_bleu": (summary.get("valid") or {}).get("bleu", self._best("valid/bleu")),
            "bleu": test.get("bleu"),
            "chrf": test.get("chrf"),
            "ter": test.get("ter"),
            "perplexity": test.get("perplexity"),
            "aer": None if error is None else 100 * error,
            "bleu_signature": test.get("signature"),
        }

    def curve(self, name: str) -> list[tuple[int, float]]:
        """Return the updates and values of a metric, in order."""
        return [
            (line["step"], line[name])
            for line in self.metrics
            if isinstance(line.get(name), int | float) and math.isfinite(line[name])
        ]

    def _updates(self) -> int | None:
        return int(self.metrics[-1]["step"]) if self.metrics else None

    def _best(self, name: str) -> float | None:
        return max((value for _, value in self.curve(name)), default=None)


def find_runs(paths: Sequence[Path]) -> list[Path]:
    """Return the run folders among paths and up to 3 levels below them, each folder once.

    Raises:
        UserError: A path does not exist or contains no run, or there are more than 1,000 runs.
    """
    found: dict[str, Path] = {}  # by the absolute path without links
    for path in paths:
        if not os.path.isdir(path):
            raise UserError(f"there is no run folder {path}{run_hint(path)}")
        runs = [path] if _has_settings(path) else sorted(_runs_below(path, _DEEPEST))
        if not runs:
            raise UserError(f"{path} contains no run{run_hint(path)}")
        for run in runs:
            found.setdefault(os.path.realpath(run), run)
    if len(found) > _MOST_RUNS:
        raise UserError(f"there are {len(found):,} runs; at most {_MOST_RUNS:,} can be compared")
    return list(found.values())


def read_runs(paths: Sequence[Path]) -> tuple[list[RunRecord], list[str]]:
    """Read the runs among paths and below them; return notes about damaged runs in a folder.

    Raises:
        UserError: A path contains no run, a run among the paths is damaged, or all runs are.
    """
    records, notes = [], []
    for path in find_runs(paths):
        try:
            records.append(read_record(path))
        except UserError as error:
            if path in paths:
                raise
            notes.append(f"{path} is left out: {error}")
    if not records:
        raise UserError(notes[0])
    return records, notes


def read_record(path: Path, summary: Mapping[str, Any] | None = None) -> RunRecord:
    """Read a run folder.

    Args:
        path: The folder.
        summary: The summary of a finished run that has no ``summary.json`` yet.

    Raises:
        UserError: A file of the run is damaged.
    """
    folder = RunFolder(path)
    summary = folder.read_summary() if summary is None else summary
    try:
        metrics = read_metrics(folder.metrics) if folder.metrics.exists() else []
        translations = None
        if summary is not None and folder.translations.exists():
            text = folder.translations.read_text(encoding="utf-8", errors="surrogatepass")
            translations = text.split("\n")[:-1]
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read the run {path}: {error}") from error
    if summary is not None:
        status = RunStatus.FINISHED
    else:
        status = RunStatus.TRAINING if folder.is_locked() else RunStatus.UNFINISHED
    return RunRecord(path, folder.read_config(), status, summary or {}, metrics, translations)


def _has_settings(path: Path) -> bool:
    return is_run(path) and os.path.isfile(path / "config.json")


def _runs_below(path: Path, depth: int) -> Iterator[Path]:
    try:
        folders = [Path(entry.path) for entry in os.scandir(path) if entry.is_dir()]
    except OSError:
        return
    for folder in folders:
        if _has_settings(folder):
            yield folder
        elif depth > 1:
            yield from _runs_below(folder, depth - 1)
