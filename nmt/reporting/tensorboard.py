"""Metrics, sample translations and heatmaps in TensorBoard."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from nmt.reporting.heatmaps.heatmap import Heatmap
from nmt.reporting.heatmaps.rendering import heatmap_image

FLUSH_SECONDS = 20


class TensorBoardLog:
    """A `MetricLog` that writes TensorBoard event files.

    Args:
        directory: the folder of the event files; created if missing.
        resume_step: the step of the checkpoint that training resumes from. TensorBoard then hides
            what an earlier run recorded after it. None hides nothing.
    """

    def __init__(self, directory: Path, resume_step: int | None = None) -> None:
        self._writer = SummaryWriter(
            log_dir=str(directory),
            purge_step=None if resume_step is None else resume_step + 1,
            flush_secs=FLUSH_SECONDS,
        )

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Add a point to the curve of each name."""
        for name, value in values.items():
            self._writer.add_scalar(name, float(value), step)

    def text(self, step: int, tag: str, text: str) -> None:
        """Add a text, which TensorBoard renders as Markdown."""
        self._writer.add_text(tag, text, step)

    def heatmap(self, step: int, tag: str, heatmap: Heatmap) -> None:
        """Add the heatmap as an image."""
        self._writer.add_image(tag, heatmap_image(heatmap), step, dataformats="HWC")

    def flush(self) -> None:
        """Write buffered data, so that a killed run keeps it."""
        self._writer.flush()

    def close(self) -> None:
        """Write buffered data and close the event file. Closing again has no effect."""
        self._writer.close()
