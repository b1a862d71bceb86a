"""The files of `nmt attention`: which there may be, and writing each by its suffix."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nmt.durable_file import atomic_write
from nmt.errors import UserError
from nmt.evaluation.alignment_extractor import AlignmentExtractor
from nmt.evaluation.attention_heatmap import map_heatmap
from nmt.evaluation.attention_map import AttentionMap
from nmt.reporting.attention_record import AttentionRecord
from nmt.reporting.heatmaps.rendering import FORMATS, save_heatmap, save_heatmap_grid

_PICTURES = tuple(f".{name}" for name in FORMATS)
_SUFFIXES = (*_PICTURES, ".html", ".json", ".align")


@dataclass(frozen=True)
class View:
    """One sentence pair's attention, and what to call it."""

    attention: AttentionMap
    source_text: str
    target_text: str
    title: str

    def shown(self, reading: AlignmentExtractor, *, pieces: bool, eos: bool) -> "View":
        """Return the view as it is shown: read at which step, of pieces or words, with EOS or not.

        Raises:
            UserError: Nothing is left of it.
        """
        attention, title = self.attention, self.title
        if reading.shift:
            attention, title = attention.shifted(), f"{title}, read a step later"
        if not pieces:
            attention = attention.merged()
        if not eos:
            attention = attention.without_eos()
        if not attention.target or not attention.source:
            side = "source" if attention.target else "translation"
            raise UserError(
                f"the {side} of {self.source_text!r} is empty without its end mark; leave out "
                "--no-eos and --shift"
            )
        return replace(self, attention=attention, title=title)

    def record(self) -> AttentionRecord:
        """Return what pages, grids and JSON files are made of."""
        shown = self.attention
        texts = self.title, self.source_text, self.target_text
        return AttentionRecord(shown.source, shown.target, shown.weights, *texts)


def check_outputs(paths: Sequence[Path], sentences: int, *, grid: bool) -> None:
    """Refuse what cannot be written, before any work.

    Raises:
        UserError: A suffix is unknown, a path doubled, or a grid asked for without its picture.
    """
    for number, path in enumerate(paths):
        if path.suffix.lower() not in _SUFFIXES:
            raise UserError(f"--output {path}: its suffix must be one of {', '.join(_SUFFIXES)}")
        if path in paths[:number]:
            raise UserError(f"--output {path} is given twice")
        if path.is_dir():
            raise UserError(f"--output {path} is a folder")
    if not grid:
        return
    if not any(_is_picture(path) for path in paths):
        raise UserError(f"--grid draws a picture: add --output with one of {', '.join(_PICTURES)}")
    if sentences != 1:
        raise UserError(f"--grid draws one sentence, but there are {sentences:,}")


def write_outputs(
    paths: Sequence[Path],
    views: Sequence[View],
    links: Sequence[str],
    reading: AlignmentExtractor,
    *,
    grid: bool,
) -> None:
    """Write every file.

    Raises:
        UserError: One could not be written.
    """
    for path in paths:
        try:
            _write(path, views, links, reading, grid=grid)
        except OSError as error:
            raise UserError(f"--output {path}: {error}") from error


def _write(
    path: Path,
    views: Sequence[View],
    links: Sequence[str],
    reading: AlignmentExtractor,
    *,
    grid: bool,
) -> None:
    match path.suffix.lower():
        case ".html":
            from nmt.reporting.pages.attention_page import save_attention_page

            records = [view.record() for view in views]
            save_attention_page(records, path, "Attention", reading.layer, reading.head)
        case ".json":
            from nmt.reporting.attention_json import save_attention_json

            save_attention_json([view.record() for view in views], path)
        case ".align":
            with atomic_write(path) as partial:
                partial.write_text("".join(f"{line}\n" for line in links), encoding="utf-8")
        case _ if grid:
            save_heatmap_grid(views[0].record(), path)
        case _:
            for number, view in enumerate(views, start=1):
                name = path.name if len(views) == 1 else f"{path.stem}-{number}{path.suffix}"
                _draw(view, reading, path.with_name(name))


def _draw(view: View, reading: AlignmentExtractor, path: Path) -> None:
    heatmap = map_heatmap(view.attention, reading.layer, reading.head)
    later = ", read a step later" if reading.shift else ""
    save_heatmap(replace(heatmap, title=f"{heatmap.title}{later}"), path)


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in _PICTURES
