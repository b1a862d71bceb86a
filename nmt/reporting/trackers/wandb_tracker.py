"""A tracker that writes to Weights & Biases; WANDB_MODE is ``offline`` by default."""

from __future__ import annotations

import html
import os
from collections.abc import Mapping

from nmt.reporting.heatmaps.heatmap import Heatmap
from nmt.reporting.heatmaps.rendering import heatmap_image
from nmt.reporting.trackers.tracked_run import TrackedRun, new_identifier

_OFFLINE = {"WANDB_MODE": "offline", "WANDB_ERROR_REPORTING": "false", "WANDB_SILENT": "true"}
"""WANDB_MODE=online sends the run to the server; ``wandb sync`` sends it later."""


class WandbTracker:
    """Records a run of Weights & Biases in the run folder.

    The horizontal axis is the metric ``update``, not the step of Weights & Biases. That step must
    increase with each call, but several calls record the same update.

    Attributes:
        identifier: The identifier of the run in Weights & Biases.
    """

    def __init__(self, run: TrackedRun) -> None:
        """Create the run, or continue it."""
        for name, value in _OFFLINE.items():
            os.environ.setdefault(name, value)
        import wandb

        self._wandb = wandb
        self.identifier = run.identifier or new_identifier()
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT") or run.project,
            name=run.name,
            id=self.identifier,
            resume="allow",
            dir=str(run.folder),
            config=run.plain_settings(),
            settings=wandb.Settings(console="off", silent=True, disable_code=True),
            reinit="create_new",
        )
        self._run.define_metric("update")
        self._run.define_metric("*", step_metric="update")

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Record numbers."""
        self._run.log({"update": step, **{name: float(v) for name, v in values.items()}})

    def text(self, step: int, tag: str, text: str) -> None:
        """Record a text without interpreting it as markup."""
        page = self._wandb.Html(f"<pre>{html.escape(text)}</pre>", inject=False)
        self._run.log({"update": step, tag: page})

    def heatmap(self, step: int, tag: str, heatmap: Heatmap) -> None:
        """Record a heatmap as a picture."""
        self._run.log({"update": step, tag: self._wandb.Image(heatmap_image(heatmap))})

    def finish(self) -> None:
        """Do nothing: this tracker has no mark of an unfinished run."""

    def close(self) -> None:
        """End the run after all records are written."""
        self._run.finish()
