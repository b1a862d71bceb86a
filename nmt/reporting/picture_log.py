"""Heatmaps as files: the latest of each, as the model sharpens."""

from collections.abc import Mapping
from pathlib import Path

from nmt.reporting.heatmaps.heatmap import Heatmap
from nmt.reporting.heatmaps.rendering import save_heatmap


class PictureLog:
    """A metric log that keeps pictures only, as ``<last part of the tag>.png``."""

    def __init__(self, directory: Path) -> None:
        """Draw into a folder."""
        self._directory = directory

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Ignore numbers."""

    def text(self, step: int, tag: str, text: str) -> None:
        """Ignore texts."""

    def heatmap(self, step: int, tag: str, heatmap: Heatmap) -> None:
        """Draw a heatmap in place of the one of the step before."""
        save_heatmap(heatmap, self._directory / f"{tag.rsplit('/', 1)[-1]}.png")

    def close(self) -> None:
        """Nothing is open."""
