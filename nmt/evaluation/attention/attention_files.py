"""Writes views of attention to files; the suffix of a path selects the format."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from nmt.durable_file import atomic_write
from nmt.errors import UserError
from nmt.evaluation.attention.alignment_extractor import AlignmentExtractor
from nmt.evaluation.attention.attention_heatmap import map_heatmap
from nmt.evaluation.attention.attention_view import AttentionView
from nmt.evaluation.attention.pictures import Pictures
from nmt.reporting.heatmaps.heatmap import Heatmap
from nmt.reporting.heatmaps.rendering import (
    FORMATS,
    save_heatmap,
    save_heatmap_grid,
    save_weights_on_picture,
)
from nmt.reporting.heatmaps.scripts import missing_glyphs_warning
from nmt.written_file import written_file

PICTURES = tuple(f".{name}" for name in FORMATS)
_SUFFIXES = (*PICTURES, ".html", ".json", ".align")


def check_outputs(paths: Sequence[Path], sentences: int, *, grid: bool) -> None:
    """Check the output paths before any work is done.

    Args:
        paths: The files to write.
        sentences: The number of sentences to show.
        grid: Whether a grid of all layers and heads is drawn.

    Raises:
        UserError: A suffix is unknown, a path is repeated or is a folder, or a grid has no picture
            file or not exactly one sentence.
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
    if not any(path.suffix.lower() in PICTURES for path in paths):
        raise UserError(f"--grid draws a picture: add --output with one of {', '.join(PICTURES)}")
    if sentences != 1:
        raise UserError(f"--grid draws one sentence, but there are {sentences:,}")


def write_outputs(
    paths: Sequence[Path],
    views: Sequence[AttentionView],
    links: Sequence[str],
    extractor: AlignmentExtractor,
    *,
    grid: bool,
    pictures: Pictures | None = None,
    advance: Callable[[int], None] = lambda done: None,
) -> str | None:
    """Write every file.

    Args:
        paths: The files to write, as `check_outputs` accepts them.
        views: The prepared views, one per sentence.
        links: The word links of each sentence, for ``.align`` files.
        extractor: The layer and head that pictures show.
        grid: Whether pictures show all layers and heads.
        pictures: One per sentence; the weights of regions are drawn on them.
        advance: Called after each file with the number of files so far.

    Returns:
        A warning if a file shows boxes for characters that no installed font has, else None.

    Raises:
        UserError: A file cannot be written.
    """
    missing, done = set[str](), 0
    for path in paths:
        with written_file(f"--output {path}", path):
            for found in _written(path, views, links, extractor, grid=grid, pictures=pictures):
                missing |= found
                done += 1
                advance(done)
    return missing_glyphs_warning(missing)


def count_files(paths: Sequence[Path], sentences: int, *, grid: bool) -> int:
    """Return how many files `write_outputs` writes for this number of sentences."""
    many = [path for path in paths if path.suffix.lower() in PICTURES and not grid]
    return len(paths) + len(many) * (sentences - 1)


def _written(
    path: Path,
    views: Sequence[AttentionView],
    links: Sequence[str],
    extractor: AlignmentExtractor,
    *,
    grid: bool,
    pictures: Pictures | None,
) -> Iterator[frozenset[str]]:
    """Write the files of one path; after each file, yield the characters it shows as boxes."""
    match path.suffix.lower():
        case ".html":
            from nmt.reporting.pages.attention_page import save_attention_page

            records = [view.record() for view in views]
            save_attention_page(records, path, "Attention", extractor.layer, extractor.head)
        case ".json":
            from nmt.reporting.attention_json import save_attention_json

            save_attention_json([view.record() for view in views], path)
        case ".align":
            with atomic_write(path) as partial:
                partial.write_text("".join(f"{line}\n" for line in links), encoding="utf-8")
        case _ if grid:
            yield save_heatmap_grid(views[0].record(), path)
            return
        case _:
            for number, view in enumerate(views, start=1):
                name = path.name if len(views) == 1 else f"{path.stem}-{number}{path.suffix}"
                heatmap = _heatmap(view, extractor)
                if pictures is None:
                    yield save_heatmap(heatmap, path.with_name(name))
                    continue
                shape = pictures.grid_of(len(heatmap.source))
                picture = pictures.read(number - 1)
                yield save_weights_on_picture(heatmap, picture, shape, path.with_name(name))
            return
    yield frozenset()


def _heatmap(view: AttentionView, extractor: AlignmentExtractor) -> Heatmap:
    heatmap = map_heatmap(view.attention, extractor.layer, extractor.head, view.heading)
    suffix = ", read one step later" if extractor.shift else ""
    return replace(heatmap, title=f"{heatmap.title}{suffix}")
