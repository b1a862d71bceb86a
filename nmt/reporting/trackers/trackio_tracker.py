"""A tracker that writes to Trackio, which stores its runs on this machine."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping

from nmt.reporting.heatmaps.heatmap import Heatmap
from nmt.reporting.heatmaps.rendering import heatmap_image
from nmt.reporting.trackers.tracked_run import TrackedRun, new_identifier


class TrackioTracker:
    """Records a run of Trackio. TRACKIO_DIR names the folder of all runs.

    Attributes:
        identifier: The unique name of the run in Trackio.
    """

    def __init__(self, run: TrackedRun) -> None:
        """Create the run, or continue it."""
        import trackio

        self._trackio = trackio
        self.identifier = run.identifier or f"{run.name}-{new_identifier()[:8]}"
        with contextlib.redirect_stdout(io.StringIO()):  # it prints how to show the runs
            self._run = trackio.init(
                project=run.project,
                name=self.identifier,
                config=run.plain_settings(),
                resume="allow",
                embed=False,
                auto_log_gpu=False,
                auto_log_cpu=False,
            )

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Record numbers."""
        self._run.log({name: float(value) for name, value in values.items()}, step=step)

    def text(self, step: int, tag: str, text: str) -> None:
        """Record a text, which Trackio renders as Markdown."""
        self._run.log({tag: self._trackio.Markdown(text)}, step=step)

    def heatmap(self, step: int, tag: str, heatmap: Heatmap) -> None:
        """Record a heatmap as a picture."""
        self._run.log({tag: self._trackio.Image(heatmap_image(heatmap))}, step=step)

    def finish(self) -> None:
        """Do nothing: this tracker has no mark of an unfinished run."""

    def close(self) -> None:
        """End the run after all records are written."""
        with contextlib.redirect_stdout(io.StringIO()):
            self._trackio.finish()
