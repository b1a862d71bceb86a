"""Attention heatmaps: weights with their tokens, as a figure, a file or an image array.

Shapes: T target length, S source length. Rows are target tokens, columns are source tokens.
matplotlib is imported only when something is drawn.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nmt.durable_file import atomic_write

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FILE_DPI = 200
FORMATS = ("pdf", "png", "svg")


@dataclass(frozen=True, eq=False)
class Heatmap:
    """Attention weights of one sentence pair with the tokens they connect.

    Args:
        weights: [T, S], each in 0..1; other numbers are drawn as the nearest of these, NaN in red.
        source: the S source tokens, one for each column.
        target: the T target tokens, one for each row.
        title: drawn above the matrix, wrapped where it is too long.

    Raises:
        ValueError: the matrix is not two-dimensional or does not fit the tokens.
    """

    weights: npt.NDArray[np.floating[Any]]
    source: Sequence[str]
    target: Sequence[str]
    title: str = ""

    def __post_init__(self) -> None:
        shape = tuple(self.weights.shape)
        expected = (len(self.target), len(self.source))
        if shape != expected:
            raise ValueError(
                f"heatmap weights have shape {shape}, but {expected[0]} target tokens (rows) and "
                f"{expected[1]} source tokens (columns) need shape {expected}"
            )


def draw_heatmap(heatmap: Heatmap) -> Figure:
    """Draw source tokens across the top, target tokens down the side, 0 white and 1 dark.

    The scale is always 0..1, so that pictures can be compared. The figure grows with the
    sentences and belongs to no pyplot state: there is nothing to close.
    """
    from nmt.reporting.heatmaps.figure import draw

    with _without_glyph_warnings():
        return draw(heatmap)


def save_heatmap(heatmap: Heatmap, path: Path) -> None:
    """Write the heatmap to `path`, in the format its suffix names.

    Missing folders are made. The file appears complete or not at all.

    Raises:
        ValueError: the suffix is none of .pdf, .png, .svg.
    """
    save_figure(lambda: draw_heatmap(heatmap), path)


def save_figure(draw: Callable[[], Figure], path: Path) -> None:
    """Write the figure that `draw` gives to `path`, complete or not at all.

    Raises:
        ValueError: the suffix is none of .pdf, .png, .svg; nothing is drawn then.
    """
    file_format = path.suffix.lower().removeprefix(".")
    if file_format not in FORMATS:
        allowed = ", ".join(f".{name}" for name in FORMATS)
        raise ValueError(
            f"cannot save a heatmap as {path.name!r}: its suffix is {path.suffix!r}, "
            f"but should be one of {allowed}"
        )
    with _without_glyph_warnings():
        figure = draw()
        with atomic_write(path) as partial:
            figure.savefig(partial, format=file_format, dpi=FILE_DPI)


def heatmap_image(heatmap: Heatmap) -> npt.NDArray[np.uint8]:
    """Draw the heatmap as pixels: uint8 [height, width, 3], red, green, blue."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(draw_heatmap(heatmap))
    with _without_glyph_warnings():
        canvas.draw()  # type: ignore[no-untyped-call]
        pixels = np.array(canvas.buffer_rgba(), dtype=np.uint8)  # type: ignore[no-untyped-call]
    return pixels[:, :, :3]


@contextmanager
def _without_glyph_warnings() -> Iterator[None]:
    """Tokens in a script that no installed font covers become boxes; that is no news to anyone."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph \d+|Matplotlib currently does not")
        yield
