"""Opens trackers by name. A tracker that fails is dropped with one warning; the run continues."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from nmt.config.schema import TrackerName
from nmt.durable_file import write_durably
from nmt.errors import UserError
from nmt.reporting.heatmaps.heatmap import Heatmap
from nmt.reporting.metric_log import MetricLog
from nmt.reporting.trackers.tracked_run import TrackedRun, TrackerLog

IDENTIFIERS = "trackers.json"
"""The file in a run folder with the run's identifier in each tracker."""


def check_trackers(names: Sequence[str]) -> None:
    """Check that the packages of trackers are installed.

    Raises:
        UserError: A package is missing; the message names the extra.
    """
    missing = [name for name in dict.fromkeys(names) if find_spec(name) is None]
    if missing:
        are = "are" if len(missing) > 1 else "is"
        raise UserError(
            f"logging.trackers has {' and '.join(missing)}, which {are} not installed: "
            f"pip install 'nmt[{','.join(missing)}]'"
        )


def open_trackers(
    names: Sequence[str], run: TrackedRun, *, resumed: bool, report: Callable[[str], None]
) -> list[MetricLog]:
    """Open trackers.

    Args:
        names: Names of the trackers; a repeated name counts once.
        run: The run to record, without an identifier.
        resumed: Whether each tracker continues the run that it recorded before.
        report: Prints one line.
    """
    logs: list[MetricLog] = []
    for name in dict.fromkeys(names):
        known = _identifiers(run.folder) if resumed else {}
        one = replace(run, identifier=known.get(name))
        try:
            tracker = _open(TrackerName(name), one)
            _keep_identifier(run.folder, name, tracker.identifier)
        except (Exception, SystemExit) as error:  # any error of a library; the run continues
            report(_warning(name, error))
            continue
        logs.append(SafeLog(tracker, name, report))
    return logs


def _open(name: TrackerName, run: TrackedRun) -> TrackerLog:
    match name:  # each library is loaded only where it is used
        case TrackerName.MLFLOW:
            from nmt.reporting.trackers.mlflow_log import MlflowLog

            return MlflowLog(run)
        case TrackerName.WANDB:
            from nmt.reporting.trackers.wandb_log import WandbLog

            return WandbLog(run)
        case TrackerName.TRACKIO:
            from nmt.reporting.trackers.trackio_log import TrackioLog

            return TrackioLog(run)


def _identifiers(folder: Path) -> dict[str, str]:
    try:
        found = json.loads((folder / IDENTIFIERS).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # none yet, or damaged: the tracker begins a new run
        return {}
    pairs = found.items() if isinstance(found, dict) else ()
    return {name: value for name, value in pairs if isinstance(value, str)}


def _keep_identifier(folder: Path, name: str, identifier: str) -> None:
    known = {**_identifiers(folder), name: identifier}
    write_durably(folder / IDENTIFIERS, f"{json.dumps(known, indent=2)}\n".encode())


def _warning(name: str, error: BaseException) -> str:
    reason = " ".join(str(error).split())[:300] or type(error).__name__
    return f"warning: {name} failed and records nothing more; the run continues: {reason}"


class SafeLog:
    """A `MetricLog` of a tracker; after the first error it prints a warning and records nothing."""

    def __init__(self, tracker: MetricLog, name: str, report: Callable[[str], None]) -> None:
        """Record in a tracker of this name; ``report`` prints one line."""
        self._tracker: MetricLog | None = tracker
        self._name, self._report = name, report

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Record numbers."""
        self._try(lambda tracker: tracker.scalars(step, values))

    def text(self, step: int, tag: str, text: str) -> None:
        """Record a text."""
        self._try(lambda tracker: tracker.text(step, tag, text))

    def heatmap(self, step: int, tag: str, heatmap: Heatmap) -> None:
        """Record a heatmap."""
        self._try(lambda tracker: tracker.heatmap(step, tag, heatmap))

    def best(self, step: int, scores: Mapping[str, float]) -> None:
        """Record the scores of the best model."""
        self._try(lambda tracker: tracker.best(step, scores))

    def finished(self, step: int, scores: Mapping[str, float]) -> None:
        """Record the final scores."""
        self._try(lambda tracker: tracker.finished(step, scores))

    def flush(self) -> None:
        """Write buffered records."""
        self._try(lambda tracker: tracker.flush())

    def close(self) -> None:
        """End the run in the tracker."""
        self._try(lambda tracker: tracker.close())
        self._tracker = None

    def _try(self, call: Callable[[MetricLog], None]) -> None:
        if self._tracker is None:
            return
        try:
            call(self._tracker)
        except (Exception, SystemExit) as error:  # any error of a library; the run continues
            self._tracker = None
            self._report(_warning(self._name, error))
