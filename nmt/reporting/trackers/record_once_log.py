"""A metric log that gives each record to a tracker once, although a resumed run repeats updates.

Trackers cannot remove records. The file ``trackers.json`` in the run folder therefore has the last
update that a tracker recorded, for each number, text and heatmap. A resumed run leaves out the
records up to this update.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from nmt.durable_file import write_durably
from nmt.reporting.heatmaps.heatmap import Heatmap
from nmt.reporting.metric_log import MetricLog
from nmt.reporting.trackers.tracked_run import Tracker


@dataclass(frozen=True)
class TrackerState:
    """What a run knows of a tracker.

    Attributes:
        identifier: The identifier of the run in the tracker.
        recorded: The last update recorded, by the name of the number or the tag of the text or
            heatmap.
    """

    identifier: str
    recorded: dict[str, int] = field(default_factory=dict)


class TrackersFile:
    """The file of a run folder with the state of each tracker."""

    def __init__(self, folder: Path) -> None:
        """Read the file. A file that is missing or damaged counts as empty."""
        self._path = folder / "trackers.json"
        try:
            found = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            found = None
        pairs = found.items() if isinstance(found, dict) else ()
        states = {name: _state(value) for name, value in pairs}
        self._states = {name: state for name, state in states.items() if state is not None}

    def get(self, name: str) -> TrackerState | None:
        """Return the state of a tracker; None: it is unknown."""
        return self._states.get(name)

    def put(self, name: str, state: TrackerState) -> None:
        """Write the state of a tracker.

        Raises:
            OSError: The file cannot be written.
        """
        self._states[name] = state
        content = {name: asdict(state) for name, state in self._states.items()}
        write_durably(self._path, f"{json.dumps(content, indent=2)}\n".encode())


class RecordOnceLog(MetricLog):
    """A metric log of a tracker, in which scores of the best model are numbers like others."""

    def __init__(self, tracker: Tracker, name: str, file: TrackersFile) -> None:
        """Record in a tracker.

        Args:
            tracker: The tracker.
            name: The name of the tracker in the file.
            file: The file with the state of this tracker.
        """
        self._tracker, self._name, self._file = tracker, name, file
        self._state = file.get(name) or TrackerState(tracker.identifier)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Record the numbers that are new."""
        new = {name: value for name, value in values.items() if self._is_new(name, step)}
        if new:
            self._tracker.scalars(step, new)
            self._keep(new, step)

    def text(self, step: int, tag: str, text: str) -> None:
        """Record a text if it is new."""
        if self._is_new(tag, step):
            self._tracker.text(step, tag, text)
            self._keep([tag], step)

    def heatmap(self, step: int, tag: str, heatmap: Heatmap) -> None:
        """Record a heatmap if it is new."""
        if self._is_new(tag, step):
            self._tracker.heatmap(step, tag, heatmap)
            self._keep([tag], step)

    def best(self, step: int, scores: Mapping[str, float]) -> None:
        """Record the scores of the best model by names as in TensorBoard: ``best/valid_bleu``."""
        self.scalars(step, {f"best/{name.replace('/', '_')}": v for name, v in scores.items()})

    def finished(self, step: int, scores: Mapping[str, float]) -> None:
        """Record the final scores and the end of the run."""
        self.best(step, scores)
        self._tracker.finish()

    def flush(self) -> None:
        """Do nothing: no record waits here."""

    def close(self) -> None:
        """End the run in the tracker."""
        self._tracker.close()

    def _is_new(self, name: str, step: int) -> bool:
        return step > self._state.recorded.get(name, -1)

    def _keep(self, names: Iterable[str], step: int) -> None:
        self._state.recorded.update(dict.fromkeys(names, step))
        self._file.put(self._name, self._state)


def _state(value: Any) -> TrackerState | None:
    """Return the state that a file has; earlier versions wrote only the identifier."""
    if isinstance(value, str):
        return TrackerState(value)
    if not isinstance(value, dict) or not isinstance(value.get("identifier"), str):
        return None
    recorded = value.get("recorded")
    pairs = recorded.items() if isinstance(recorded, dict) else ()
    return TrackerState(
        value["identifier"], {name: step for name, step in pairs if isinstance(step, int)}
    )
