"""A run as trackers record it, and the interface of a tracker."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from nmt.reporting.heatmaps.heatmap import Heatmap


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


class Tracker(Protocol):
    """A program that records a run; `RecordOnceLog` calls it.

    Attributes:
        identifier: The identifier of the run in the tracker, with which a resumed run continues.
    """

    identifier: str

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Record numbers by name, measured after update `step`."""

    def text(self, step: int, tag: str, text: str) -> None:
        """Record a text in Markdown."""

    def heatmap(self, step: int, tag: str, heatmap: Heatmap) -> None:
        """Record a heatmap."""

    def finish(self) -> None:
        """Mark the run as finished; without this call, `close` ends an unfinished run."""

    def close(self) -> None:
        """Write all records, and end the run in the tracker."""
