"""A run as trackers record it, and the base class of their logs."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nmt.reporting.metric_log import MetricLog


@dataclass(frozen=True)
class TrackedRun:
    """The data of a run that a tracker needs to begin.

    Attributes:
        name: Name of the run folder.
        project: The project in which the tracker lists the run.
        folder: The run folder.
        settings: Settings by full key: numbers, texts, lists, None, or mappings (sections).
        identifier: The identifier of the run in this tracker; None: the run is new.
    """

    name: str
    project: str
    folder: Path
    settings: Mapping[str, Any]
    identifier: str | None = None

    def plain_settings(self) -> dict[str, Any]:
        """Return the settings without sections and without settings of None."""
        return {
            key: value
            for key, value in self.settings.items()
            if value is not None and not isinstance(value, Mapping)
        }


def new_identifier() -> str:
    """Return an identifier that no other run has, of letters and digits."""
    return uuid.uuid4().hex[:16]


class TrackerLog(MetricLog):
    """A metric log of a tracker, in which scores of the best model are numbers like others.

    Attributes:
        identifier: The identifier of the run in the tracker, with which a resumed run continues.
    """

    identifier: str

    def best(self, step: int, scores: Mapping[str, float]) -> None:
        """Record the scores of the best model, ``best/...``."""
        self.scalars(step, best_names(scores))

    def finished(self, step: int, scores: Mapping[str, float]) -> None:
        """Record the final scores."""
        self.best(step, scores)


def best_names(scores: Mapping[str, float]) -> dict[str, float]:
    """Return the scores of the best model by names as in TensorBoard, e.g. ``best/valid_bleu``."""
    return {f"best/{name.replace('/', '_')}": value for name, value in scores.items()}
