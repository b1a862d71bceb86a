"""The figure of one heatmap. Lengths are inches unless a name says points.

The figure has no fixed size. Cells have a chosen size, margins are as wide as the widest label, and
the figure contains both. Labels are therefore equally readable for two tokens and for eighty.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nmt.reporting.heatmaps.annotations import (
    FAINT,
    GRID,
    color_map,
    draw_color_bar,
    draw_source_label,
    draw_target_label,
    draw_title,
)
from nmt.reporting.heatmaps.fonts import POINTS_PER_INCH, PictureFonts, fonts_for
from nmt.reporting.heatmaps.heatmap import Heatmap
from nmt.reporting.heatmaps.sizes import (
    BAR_GAP,
    BAR_LABELS,
    BAR_WIDTH,
    LABEL_GAP,
    MARGIN,
    MINIMUM_WIDTH,
    SCREEN_DPI,
    SMALLEST_GRID,
    cell_size,
)
from nmt.reporting.heatmaps.typesetting import (
    own_warnings_only,
    shown_texts,
    title_line_height,
    token_label,
    wrap_title,
)


@dataclass(frozen=True)
class _Layout:
    """Positions and sizes: a matrix of `rows` x `columns` cells and the margins around it."""

    rows: int
    columns: int
    cell: float
    label_points: float
    rotation: float  # of the source labels, degrees
    label_stride: int  # 1: every token has a label; 3: every third
    left: float
    top: float
    right: float
    bar_height: float
    title: tuple[str, ...]

    @property
    def matrix_width(self) -> float:
        return self.columns * self.cell

    @property
    def matrix_height(self) -> float:
        return self.rows * self.cell

    @property
    def width(self) -> float:
        return self.left + self.matrix_width + self.right

    @property
    def height(self) -> float:
        return self.top + max(self.matrix_height, self.bar_height) + MARGIN

    def box(self, left: float, width: float, height: float) -> tuple[float, float, float, float]:
        """Return a box below the matrix's top edge: left, bottom, width, height.

        The values are fractions of the figure, as matplotlib expects them.
        """
        bottom = self.height - self.top - height
        return left / self.width, bottom / self.height, width / self.width, height / self.height


@own_warnings_only()
def draw_heatmap(heatmap: Heatmap) -> Figure:
    """Draw source tokens along the top, target tokens along the left, weight 0 white and 1 navy.

    The color scale is always [0, 1], so that pictures can be compared. The figure grows with the
    sentences. The figure is not registered with pyplot, so the caller need not close it.
    """
    source = [token_label(token) for token in heatmap.source]
    target = [token_label(token) for token in heatmap.target]
    fonts = heatmap_fonts(heatmap)
    layout = _plan(source, target, heatmap.title, fonts)
    points = layout.label_points
    figure = Figure(figsize=(layout.width, layout.height), dpi=SCREEN_DPI, facecolor="white")
    axes = figure.add_axes(layout.box(layout.left, layout.matrix_width, layout.matrix_height))
    _draw_cells(axes, np.asarray(heatmap.weights, dtype=np.float64), layout)
    for column in range(0, len(source), layout.label_stride):
        draw_source_label(axes, (column, -0.5), source[column], fonts, points, layout.rotation)
    for row in range(0, len(target), layout.label_stride):
        draw_target_label(axes, (-0.5, row), target[row], fonts, points)
    left = layout.left + layout.matrix_width + BAR_GAP
    draw_color_bar(figure, layout.box(left, BAR_WIDTH, layout.bar_height), fonts)
    draw_title(figure, layout.title, fonts)
    return figure


def heatmap_fonts(heatmap: Heatmap) -> PictureFonts:
    """Return the fonts of the picture of a heatmap."""
    return fonts_for(shown_texts(heatmap.source, heatmap.target, heatmap.title))


def _plan(source: Sequence[str], target: Sequence[str], title: str, fonts: PictureFonts) -> _Layout:
    rows, columns = max(len(target), 1), max(len(source), 1)
    cell = cell_size(max(rows, columns))
    points = min(9.5, max(6.5, 0.58 * cell * POINTS_PER_INCH))
    line = 1.15 * points / POINTS_PER_INCH
    rotation = 50.0 if cell * math.sin(math.radians(50)) >= line else 90.0
    sine, cosine = math.sin(math.radians(rotation)), math.cos(math.radians(rotation))
    source_widths = [fonts.width(token, points) for token in source]
    ends = [
        (column + 0.5) * cell + (width + LABEL_GAP) * cosine + line / 2
        for column, width in enumerate(source_widths)
    ]
    bar_height = min(1.3, max(0.6, rows * cell))
    left = MARGIN + max((fonts.width(token, points) for token in target), default=0) + LABEL_GAP
    right = max(BAR_GAP + BAR_WIDTH + BAR_LABELS, max(ends, default=0) - columns * cell) + MARGIN
    if title:
        right = max(right, MINIMUM_WIDTH - left - columns * cell)
    title_lines = wrap_title(title, left + columns * cell + right - 2 * MARGIN, fonts)
    top = MARGIN + (len(title_lines) * title_line_height() + 0.1 if title_lines else 0)
    top += max(source_widths, default=0) * sine + line * cosine + LABEL_GAP
    return _Layout(
        rows=rows,
        columns=columns,
        cell=cell,
        label_points=points,
        rotation=rotation,
        label_stride=math.ceil(line / cell),
        left=left,
        top=top,
        right=right,
        bar_height=bar_height,
        title=title_lines,
    )


def _draw_cells(axes: Axes, weights: npt.NDArray[np.float64], layout: _Layout) -> None:
    if weights.size:
        axes.imshow(weights, cmap=color_map(), vmin=0, vmax=1, interpolation="antialiased")
    right, bottom = layout.columns - 0.5, layout.rows - 0.5
    axes.set(aspect="auto", xlim=(-0.5, right), ylim=(bottom, -0.5), xticks=[], yticks=[])
    if layout.cell >= SMALLEST_GRID:
        axes.vlines(np.arange(0.5, right), -0.5, bottom, color=GRID, linewidth=0.5)
        axes.hlines(np.arange(0.5, bottom), -0.5, right, color=GRID, linewidth=0.5)
    for spine in axes.spines.values():
        spine.set(color=FAINT, linewidth=0.6, zorder=3)
