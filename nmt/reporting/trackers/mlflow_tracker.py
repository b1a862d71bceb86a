"""A tracker that writes to MLflow: to a folder, a database or a server."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping

from nmt.reporting.heatmaps.heatmap import Heatmap
from nmt.reporting.heatmaps.rendering import heatmap_image
from nmt.reporting.trackers.tracked_run import TrackedRun

_MOST_PARAMETERS = 100  # of one call
_LONGEST_VALUE = 500  # characters
_TIMEOUTS = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "10", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}
"""With MLflow's defaults, a training waits minutes for an unreachable server."""


class MlflowTracker:
    """Records a run of MLflow.

    The environment variable MLFLOW_TRACKING_URI names the server, database or folder.
    MLFLOW_EXPERIMENT_NAME names the experiment; its default is the project.

    Attributes:
        identifier: The identifier of the run in MLflow.
    """

    def __init__(self, run: TrackedRun) -> None:
        """Create the run, or continue it."""
        for name, value in _TIMEOUTS.items():
            os.environ.setdefault(name, value)
        from mlflow.entities import Metric, Param
        from mlflow.tracking import MlflowClient

        self._metric, self._client = Metric, MlflowClient()
        if run.identifier is not None:
            self._client.update_run(run.identifier, status="RUNNING")
            self.identifier = run.identifier
        else:
            created = self._client.create_run(self._experiment(run.project), run_name=run.name)
            self.identifier = str(created.info.run_id)
            values = {k: str(v)[:_LONGEST_VALUE] for k, v in run.plain_settings().items()}
            parameters = [Param(key, value) for key, value in values.items()]
            for start in range(0, len(parameters), _MOST_PARAMETERS):
                part = parameters[start : start + _MOST_PARAMETERS]
                self._client.log_batch(self.identifier, params=part)
        self._status = "KILLED"

    def _experiment(self, project: str) -> str:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or project
        known = self._client.get_experiment_by_name(name)
        return str(self._client.create_experiment(name) if known is None else known.experiment_id)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Record finite numbers; others are left out."""
        now = round(1000 * time.time())
        metrics = [
            self._metric(name, float(value), now, step)
            for name, value in values.items()
            if math.isfinite(value)
        ]
        self._client.log_batch(self.identifier, metrics=metrics)

    def text(self, step: int, tag: str, text: str) -> None:
        """Record a text as a file of the run."""
        self._client.log_text(self.identifier, text, f"{tag}/{step:08}.md")

    def heatmap(self, step: int, tag: str, heatmap: Heatmap) -> None:
        """Record a heatmap as a picture of the run."""
        image = heatmap_image(heatmap)
        self._client.log_image(self.identifier, image, artifact_file=f"{tag}/{step:08}.png")

    def finish(self) -> None:
        """Mark the run as finished."""
        self._status = "FINISHED"

    def close(self) -> None:
        """End the run in MLflow."""
        self._client.set_terminated(self.identifier, self._status)
