"""A metric log that writes the latest heatmap of each tag as a PNG file."""

from collections.abc import Mapping
from pathlib import Path

from nmt.reporting.heatmaps.heatmap import Heatmap
from nmt.reporting.heatmaps.rendering import save_heatmap


class PictureLog:
    """A `MetricLog` of heatmaps only. A file is named ``<last part of the tag>.png``."""

    def __init__(self, directory: Path) -> None:
        """Write to this folder."""
        self._directory = directory

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Ignore numbers."""

    def text(self, step: int, tag: str, text: str) -> None:
        """Ignore texts."""

    def heatmap(self, step: int, tag: str, heatmap: Heatmap) -> None:
        """Write a heatmap, replacing that of an earlier step."""
        save_heatmap(heatmap, self._directory / f"{tag.rsplit('/', 1)[-1]}.png")

    def flush(self) -> None:
        """Do nothing, because no file stays open."""

    def close(self) -> None:
        """Do nothing, because no file stays open."""
