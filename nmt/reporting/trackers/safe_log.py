"""Opens trackers by name. A tracker that fails is dropped with one warning; the run continues."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec

from nmt.config.schema import TrackerName
from nmt.errors import UserError
from nmt.reporting.heatmaps.heatmap import Heatmap
from nmt.reporting.metric_log import MetricLog
from nmt.reporting.trackers.record_once_log import (
    RecordOnceLog,
    TrackersFile,
    TrackerState,
)
from nmt.reporting.trackers.tracked_run import TrackedRun, Tracker


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
    file = TrackersFile(run.folder)
    for name in dict.fromkeys(names):
        known = file.get(name) if resumed else None
        one = replace(run, identifier=None if known is None else known.identifier)
        try:
            tracker = _open(TrackerName(name), one)
            file.put(name, known or TrackerState(tracker.identifier))
        except (Exception, SystemExit) as error:  # any error of a library; the run continues
            report(_warning(name, error))
            continue
        logs.append(SafeLog(RecordOnceLog(tracker, name, file), name, report))
    return logs


def _open(name: TrackerName, run: TrackedRun) -> Tracker:
    match name:  # each library is loaded only where it is used
        case TrackerName.MLFLOW:
            from nmt.reporting.trackers.mlflow_tracker import MlflowTracker

            return MlflowTracker(run)
        case TrackerName.WANDB:
            from nmt.reporting.trackers.wandb_tracker import WandbTracker

            return WandbTracker(run)
        case TrackerName.TRACKIO:
            from nmt.reporting.trackers.trackio_tracker import TrackioTracker

            return TrackioTracker(run)


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
