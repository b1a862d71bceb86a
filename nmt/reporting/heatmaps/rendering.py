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

    from nmt.reporting.heatmaps.fonts import PictureFonts

FILE_DPI = 200
FORMATS = ("pdf", "png", "svg")


def save_heatmap(heatmap: Heatmap, path: Path) -> frozenset[str]:
    """Write a heatmap to `path`, whose suffix selects the format.

    Missing folders are created. The file appears complete or not at all.

    Returns:
        The characters that are drawn as boxes because no installed font has them.

    Raises:
        ValueError: the suffix is not .pdf, .png or .svg. Nothing is drawn then.
        OSError: the file cannot be written.
    """

    def draw() -> tuple[Figure, PictureFonts]:
        from nmt.reporting.heatmaps.single_figure import draw_heatmap, heatmap_fonts

        return draw_heatmap(heatmap), heatmap_fonts(heatmap)

    return _save(draw, path)


def save_heatmap_grid(record: AttentionRecord, path: Path) -> frozenset[str]:
    """Write the heatmaps of all layers and heads, as one picture, to `path`.

    The format, the folders, the result and the errors are those of `save_heatmap`.
    """

    def draw() -> tuple[Figure, PictureFonts]:
        from nmt.reporting.heatmaps.grid_figure import draw_heatmap_grid, grid_fonts

        return draw_heatmap_grid(record), grid_fonts(record)

    return _save(draw, path)


def save_weights_on_picture(
    heatmap: Heatmap, picture: npt.NDArray[np.float32], grid: tuple[int, int], path: Path
) -> frozenset[str]:
    """Write the weights over the regions of a picture, drawn on the picture, to `path`.

    The format, the folders, the result and the errors are those of `save_heatmap`.

    Args:
        heatmap: Weights of the regions, which are numbered row by row.
        picture: [height, width, 3], values from 0 to 1.
        grid: Rows and columns of regions.
        path: The file.
    """

    def draw() -> tuple[Figure, PictureFonts]:
        from nmt.reporting.heatmaps.picture_figure import draw_weights_on_picture, picture_fonts

        return draw_weights_on_picture(heatmap, picture, grid), picture_fonts(heatmap)

    return _save(draw, path)


def heatmap_image(heatmap: Heatmap) -> npt.NDArray[np.uint8]:
    """Return the heatmap as RGB pixels, uint8 [height, width, 3], at screen resolution."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from nmt.reporting.heatmaps.single_figure import draw_heatmap
    from nmt.reporting.heatmaps.typesetting import own_warnings_only

    canvas = FigureCanvasAgg(draw_heatmap(heatmap))
    with own_warnings_only():
        canvas.draw()  # type: ignore[no-untyped-call]
        pixels = np.array(canvas.buffer_rgba(), dtype=np.uint8)  # type: ignore[no-untyped-call]
    return pixels[:, :, :3]


def _save(draw: Callable[[], tuple[Figure, PictureFonts]], path: Path) -> frozenset[str]:
    """Write the figure that `draw` returns; the suffix is checked before anything is drawn."""
    file_format = path.suffix.lower().removeprefix(".")
    if file_format not in FORMATS:
        allowed = ", ".join(f".{name}" for name in FORMATS)
        raise ValueError(
            f"cannot save a heatmap as {path.name!r}: its suffix is {path.suffix!r}, "
            f"but it must be one of {allowed}"
        )
    from matplotlib import rc_context

    from nmt.reporting.heatmaps.typesetting import own_warnings_only

    content = io.BytesIO()  # matplotlib does not end cleanly if it writes to a full disk
    with own_warnings_only():
        figure, fonts = draw()
        # Publishers refuse PDF files with Type 3 fonts. But some viewers warn about Chinese,
        # Japanese and Korean fonts as Type 42, because these have no TrueType outlines.
        font_type = 42 if len(fonts.families) == 1 else 3
        with rc_context({"pdf.fonttype": font_type}):
            figure.savefig(content, format=file_format, dpi=FILE_DPI)
    with atomic_write(path) as partial:
        partial.write_bytes(content.getbuffer())
    return fonts.missing
