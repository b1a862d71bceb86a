"""A metric log that writes the latest heatmap of each tag as a PNG file and as JSON."""

from collections.abc import Callable, Mapping
from pathlib import Path

from nmt.reporting.attention_json import save_attention_json
from nmt.reporting.attention_record import AttentionRecord
from nmt.reporting.heatmaps.heatmap import Heatmap
from nmt.reporting.heatmaps.rendering import save_heatmap
from nmt.reporting.heatmaps.scripts import missing_glyphs_warning, script_of


class PictureLog:
    """A `MetricLog` of heatmaps only: ``<last part of the tag>.png`` and ``.json`` beside it.

    The JSON file has the format of `nmt attention`. The page of a run is made from it.
    """

    def __init__(self, directory: Path, report: Callable[[str], None]) -> None:
        """Write to this folder. Call ``report`` once for each script that no installed font has."""
        self._directory = directory
        self._report = report
        self._warned: set[str] = set()

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Ignore numbers."""

    def text(self, step: int, tag: str, text: str) -> None:
        """Ignore texts."""

    def heatmap(self, step: int, tag: str, heatmap: Heatmap) -> None:
        """Write a heatmap; it replaces the one of an earlier step."""
        path = self._directory / f"{tag.rsplit('/', 1)[-1]}.png"
        missing = save_heatmap(heatmap, path)
        save_attention_json([_record(heatmap)], path.with_suffix(".json"))
        new = {character for character in missing if script_of(character) not in self._warned}
        self._warned |= set(map(script_of, new))
        if warning := missing_glyphs_warning(new):
            self._report(f"warning: {warning}")

    def best(self, step: int, scores: Mapping[str, float]) -> None:
        """Ignore numbers."""

    def finished(self, step: int, scores: Mapping[str, float]) -> None:
        """Ignore numbers."""

    def flush(self) -> None:
        """Do nothing, because no file stays open."""

    def close(self) -> None:
        """Do nothing, because no file stays open."""


def _record(heatmap: Heatmap) -> AttentionRecord:
    """Return a record with one layer and one head; its sentences are empty texts."""
    labels = list(heatmap.source), list(heatmap.target)
    return AttentionRecord(*labels, heatmap.weights[None, None], heatmap.title, "", "")
