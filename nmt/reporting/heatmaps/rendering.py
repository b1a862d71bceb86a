"""Heatmaps as files and as pixel arrays.

The functions import matplotlib when they are called: it loads slowly, and most runs draw nothing.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from nmt.durable_file import atomic_write
from nmt.reporting.attention_record import AttentionRecord
from nmt.reporting.heatmaps.heatmap import Heatmap

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FILE_DPI = 200
FORMATS = ("pdf", "png", "svg")


def save_heatmap(heatmap: Heatmap, path: Path) -> None:
    """Write a heatmap to `path` in the format that its suffix names.

    Missing folders are created. The file appears complete or not at all.

    Raises:
        ValueError: the suffix is none of .pdf, .png, .svg. Nothing is drawn then.
    """

    def draw() -> Figure:
        from nmt.reporting.heatmaps.single_figure import draw_heatmap

        return draw_heatmap(heatmap)

    _save(draw, path)


def save_heatmap_grid(record: AttentionRecord, path: Path) -> None:
    """Write the heatmaps of all layers and heads, as one picture, to `path`.

    The format, the folders and the errors are those of `save_heatmap`.
    """

    def draw() -> Figure:
        from nmt.reporting.heatmaps.grid_figure import draw_heatmap_grid

        return draw_heatmap_grid(record)

    _save(draw, path)


def heatmap_image(heatmap: Heatmap) -> npt.NDArray[np.uint8]:
    """Return the heatmap as RGB pixels, uint8 [height, width, 3], at screen resolution."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from nmt.reporting.heatmaps.single_figure import draw_heatmap
    from nmt.reporting.heatmaps.typesetting import ignore_missing_glyphs

    canvas = FigureCanvasAgg(draw_heatmap(heatmap))
    with ignore_missing_glyphs():
        canvas.draw()  # type: ignore[no-untyped-call]
        pixels = np.array(canvas.buffer_rgba(), dtype=np.uint8)  # type: ignore[no-untyped-call]
    return pixels[:, :, :3]


def _save(draw: Callable[[], Figure], path: Path) -> None:
    """Write the figure that `draw` returns; the suffix is checked before anything is drawn."""
    file_format = path.suffix.lower().removeprefix(".")
    if file_format not in FORMATS:
        allowed = ", ".join(f".{name}" for name in FORMATS)
        raise ValueError(
            f"cannot save a heatmap as {path.name!r}: its suffix is {path.suffix!r}, "
            f"but it must be one of {allowed}"
        )
    from nmt.reporting.heatmaps.typesetting import ignore_missing_glyphs

    with ignore_missing_glyphs():
        content = io.BytesIO()  # matplotlib does not end cleanly if it writes to a full disk
        draw().savefig(content, format=file_format, dpi=FILE_DPI)
    with atomic_write(path) as partial:
        partial.write_bytes(content.getbuffer())
