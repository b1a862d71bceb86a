"""What every tracker records, and what a run gives to it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class TrackedRun:
    """A run as trackers show it.

    Attributes:
        name: Of the run folder.
        project: Where the tracker lists the run.
        folder: The run folder.
        settings: By full key; each is a number, a text, a list or None.
        identifier: Of the run in this tracker when it was recorded before; None: it is new.
    """

    name: str
    project: str
    folder: Path
    settings: Mapping[str, Any]
    identifier: str | None = None

    def plain_settings(self) -> dict[str, Any]:
        """Return the settings without sections and without those that are None."""
        return {
            key: value
            for key, value in self.settings.items()
            if value is not None and not isinstance(value, Mapping)
        }


def new_identifier() -> str:
    """Return an identifier that no other run has, of letters and digits."""
    return uuid.uuid4().hex[:16]


def best_names(scores: Mapping[str, float]) -> dict[str, float]:
    """Return the scores of the best model by TensorBoard's names, as ``best/valid_bleu``."""
    return {f"best/{name.replace('/', '_')}": value for name, value in scores.items()}
