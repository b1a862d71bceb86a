"""Metrics, settings, sample translations and heatmaps in TensorBoard."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch.utils.tensorboard.summary import hparams, image, scalar, text

from nmt.reporting.event_file import EventFile
from nmt.reporting.heatmaps.heatmap import Heatmap
from nmt.reporting.heatmaps.rendering import heatmap_image


class TensorBoardLog:
    """A `MetricLog` that writes TensorBoard event files.

    TensorBoard's page *HParams* lists runs with their settings and scores. The page puts the
    settings that differ between runs first, so all settings are written. It sorts scores by name,
    so the scores of the best model, ``best/...``, come first.

    Args:
        directory: the folder of the event files; created if missing.
        resume_step: the step of the checkpoint from which training resumes. TensorBoard hides
            later steps of the folder's earlier files. None hides nothing.
        settings: the settings of the run by full key. A setting of None is left out; lists are
            written as text.
    """

    def __init__(
        self,
        directory: Path,
        resume_step: int | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self._file = EventFile(directory, None if resume_step is None else resume_step + 1)
        # The experiment summary is not written: it would fix the settings of all runs of a folder.
        _, start, self._end = hparams(_comparable(settings or {}), {})
        if settings:
            self._file.add(start)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Add a point to the curve of each name."""
        for name, value in values.items():
            self._file.add(scalar(name, float(value)), step)

    def best(self, step: int, scores: Mapping[str, float]) -> None:
        """Add a point to the curve of each score of the best model, ``best/...``."""
        self.scalars(step, {f"best/{name.replace('/', '_')}": v for name, v in scores.items()})

    def finished(self, step: int, scores: Mapping[str, float]) -> None:
        """Record the final scores of the best model and the end of the run."""
        self.best(step, scores)
        self._file.add(self._end)

    def text(self, step: int, tag: str, text_: str) -> None:
        """Add a text, which TensorBoard renders as Markdown."""
        summary = text(tag, text_)
        summary.value[0].tag = tag  # without the suffix that PyTorch adds
        self._file.add(summary, step)

    def heatmap(self, step: int, tag: str, heatmap: Heatmap) -> None:
        """Add the heatmap as an image."""
        self._file.add(image(tag, heatmap_image(heatmap), dataformats="HWC"), step)

    def flush(self) -> None:
        """Flush the events to the disk, so that they survive a loss of power."""
        self._file.flush()

    def close(self) -> None:
        """Close the event file. Closing again has no effect."""
        self._file.close()


def _comparable(settings: Mapping[str, Any]) -> dict[str, float | str]:
    """Return the settings as numbers and texts, by which the page can sort and filter."""
    comparable: dict[str, float | str] = {}
    for key, value in settings.items():
        if isinstance(value, bool):  # the page would show True as 1
            comparable[key] = str(value).lower()
        elif isinstance(value, (int, float)):
            comparable[key] = value
        elif value is not None and not isinstance(value, Mapping):
            comparable[key] = str(value)
    return comparable
