"""The weights over the regions of a picture, drawn on the picture: a panel for each target token.

The figure follows Xu et al. 2015, figures 2 and 3. Lengths are inches.

Legend: T target tokens, R = rows x columns regions, Y and X pixels.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nmt.reporting.heatmaps.annotations import FAINT, INK, draw_title
from nmt.reporting.heatmaps.fonts import PictureFonts, fonts_for
from nmt.reporting.heatmaps.heatmap import Heatmap
from nmt.reporting.heatmaps.sizes import MARGIN, SCREEN_DPI
from nmt.reporting.heatmaps.typesetting import (
    own_warnings_only,
    shown_texts,
    title_line_height,
    token_label,
    wrap_title,
)

Pixels = npt.NDArray[np.float32]

_SIDE, _GAP, _LABEL = 1.35, 0.18, 0.24  # of a panel's longer side, between panels, of a label
_MOST_COLUMNS = 6  # panels beside each other
_LARGEST_OPACITY = 0.88  # of the white cover of a region with weight 0
_BEHIND_NUMBERS = dict(facecolor="white", edgecolor="none", alpha=0.6, pad=0.8)
_MOST_NUMBERS = 16  # greatest number of regions whose weights are written as numbers


@own_warnings_only()
def draw_weights_on_picture(heatmap: Heatmap, picture: Pixels, grid: tuple[int, int]) -> Figure:
    """Draw a panel for each token, in which a white cover fades regions with small weights.

    The cover of a region has the opacity 0.88 (1 - weight / largest weight of the panel).

    Args:
        heatmap: Weights [T, R]; regions are numbered row by row.
        picture: [Y, X, 3], values from 0 to 1.
        grid: Rows and columns of regions.
    """
    fonts = picture_fonts(heatmap)
    height, width = (_SIDE * side / max(picture.shape[:2]) for side in picture.shape[:2])
    across = max(1, min(_MOST_COLUMNS, len(heatmap.target)))
    down = max(1, math.ceil(len(heatmap.target) / across))
    total_width = max(2 * MARGIN + across * (width + _GAP), 3.2)
    title = wrap_title(heatmap.title, total_width - 2 * MARGIN, fonts)
    top = MARGIN + len(title) * title_line_height()
    total_height = top + down * (height + _LABEL + _GAP) + MARGIN
    figure = Figure(figsize=(total_width, total_height), dpi=SCREEN_DPI, facecolor="white")
    for number, (token, weights) in enumerate(zip(heatmap.target, heatmap.weights, strict=True)):
        row, column = divmod(number, across)
        left = MARGIN + column * (width + _GAP)
        bottom = total_height - top - (row + 1) * (height + _LABEL + _GAP) + _GAP
        box = left / total_width, bottom / total_height, width / total_width, height / total_height
        _draw_panel(figure.add_axes(box), token, weights.reshape(grid), picture, fonts)
    draw_title(figure, title, fonts)
    return figure


def picture_fonts(heatmap: Heatmap) -> PictureFonts:
    """Return the fonts of the picture; regions have no labels."""
    return fonts_for(shown_texts([], heatmap.target, heatmap.title))


def _draw_panel(
    axes: Axes,
    token: str,
    weights: npt.NDArray[np.floating],  # [rows, columns]
    picture: Pixels,
    fonts: PictureFonts,
) -> None:
    rows, columns = weights.shape
    extent = (0.0, columns, rows, 0.0)  # a region is one unit wide and high
    axes.imshow(picture, extent=extent, interpolation="nearest", aspect="auto")
    largest = float(weights.max())
    cover = np.ones((rows, columns, 4))
    cover[..., 3] = _LARGEST_OPACITY * (1 - weights / largest) if largest > 0 else _LARGEST_OPACITY
    axes.imshow(cover, extent=extent, interpolation="nearest", aspect="auto")
    axes.hlines(range(1, rows), 0, columns, color=FAINT, linewidth=0.4)
    axes.vlines(range(1, columns), 0, rows, color=FAINT, linewidth=0.4)
    if weights.size <= _MOST_NUMBERS:
        for (row, column), weight in np.ndenumerate(weights):
            text = axes.text(column + 0.5, row + 0.93, f"{weight:.2f}", ha="center", color=INK)
            text.set(fontproperties=fonts.sized(6), bbox=_BEHIND_NUMBERS)
    axes.set(xlim=(0, columns), ylim=(rows, 0), xticks=[], yticks=[])
    axes.set_title(
        token_label(token), fontproperties=fonts.sized(8.5), color=INK, pad=2, parse_math=False
    )
    for spine in axes.spines.values():
        spine.set(color=FAINT, linewidth=0.6)
