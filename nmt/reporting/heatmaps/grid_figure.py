"""The figure of all layers and heads of one sentence: a row per layer, a column per head.

Lengths are inches unless a name says points. A single axes covers the figure. Its coordinates are
inches from the upper left corner, so layout coordinates are also plot coordinates. The layout is
computed as for a single heatmap.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nmt.reporting.attention_record import AttentionRecord
from nmt.reporting.heatmaps.annotations import (
    FAINT,
    GRID,
    INK,
    color_map,
    draw_color_bar,
    draw_source_label,
    draw_target_label,
    draw_title,
)
from nmt.reporting.heatmaps.fonts import POINTS_PER_INCH, PictureFonts, fonts_for
from nmt.reporting.heatmaps.sizes import (
    BAR_GAP,
    BAR_LABELS,
    BAR_WIDTH,
    LABEL_GAP,
    MARGIN,
    MAXIMUM_MATRIX,
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

COMFORTABLE_SIDE = 14.0  # of all panels together; up to it, cells have their full size
SMALLEST_CELL = 0.05
PANEL_GAP = 0.14
NAME_POINTS = 8.0  # of "layer 1" and "head 1"
NAME_SPACE = 0.24  # beside "layer 1", above "head 1"


@dataclass(frozen=True)
class _Layout:
    """Positions and sizes. Pairs of lengths are (x, y): across, then down."""

    cell: float
    panel: tuple[float, float]  # width, height of one panel
    pitch: tuple[float, float]  # from one panel to the next
    corner: tuple[float, float]  # upper left, of the first panel
    size: tuple[float, float]  # of the figure
    bar: tuple[float, float]  # left edge and height of the color bar
    label_points: float
    rotation: float  # of the source labels, degrees
    label_stride: int  # 1: every token has a label; 3: every third
    title: tuple[str, ...]

    def panel_corner(self, layer: int, head: int) -> tuple[float, float]:
        """Return the left and top coordinates of a panel."""
        return self.corner[0] + head * self.pitch[0], self.corner[1] + layer * self.pitch[1]


@own_warnings_only()
def draw_heatmap_grid(record: AttentionRecord) -> Figure:
    """Draw L rows of H heatmaps on the color scale [0, 1], with token labels at the outer edges.

    Cells shrink as the number of panels and tokens grows. Where a cell is smaller than a line of
    text, only every second or third token has a label.
    """
    source = [token_label(token) for token in record.source]
    target = [token_label(token) for token in record.target]
    fonts = grid_fonts(record)
    layout = _plan(source, target, record, fonts)
    width, height = layout.size
    figure = Figure(figsize=layout.size, dpi=SCREEN_DPI, facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    weights = np.asarray(record.weights, dtype=np.float64)
    for layer in range(record.layers):
        for head in range(record.heads):
            _draw_panel(axes, weights[layer, head], layout.panel_corner(layer, head), layout)
    axes.set(aspect="auto", xlim=(0, width), ylim=(height, 0))  # imshow changed the limits
    _draw_tokens(axes, source, target, record, layout, fonts)
    _draw_names(axes, record, layout, fonts)
    left, bar_height = layout.bar
    bottom = height - layout.corner[1] - bar_height
    box = (left / width, bottom / height, BAR_WIDTH / width, bar_height / height)
    draw_color_bar(figure, box, fonts)
    draw_title(figure, layout.title, fonts)
    return figure


def grid_fonts(record: AttentionRecord) -> PictureFonts:
    """Return the fonts of the grid of a record."""
    return fonts_for(shown_texts(record.source, record.target, record.title))


def _plan(
    source: list[str], target: list[str], record: AttentionRecord, fonts: PictureFonts
) -> _Layout:
    rows, columns = max(len(target), 1), max(len(source), 1)
    cell = _cell(rows, columns, record.layers, record.heads)
    points = min(9.5, max(5.5, 0.58 * cell * POINTS_PER_INCH))
    line = 1.15 * points / POINTS_PER_INCH
    rotation = 50.0 if cell * math.sin(math.radians(50)) >= line else 90.0
    sine, cosine = math.sin(math.radians(rotation)), math.cos(math.radians(rotation))
    panel = (columns * cell, rows * cell)
    named = [fonts.width(name, NAME_POINTS, bold=True) + 0.1 for name in ("head 99", "layer 99")]
    pitch = (
        max(panel[0] + PANEL_GAP, named[0] if record.heads > 1 else 0),
        max(panel[1] + PANEL_GAP, named[1] if record.layers > 1 else 0),
    )
    all_width = (record.heads - 1) * pitch[0] + panel[0]
    all_height = (record.layers - 1) * pitch[1] + panel[1]
    widths = [fonts.width(token, points) for token in source]
    ends = [
        (column + 0.5) * cell + (width + LABEL_GAP) * cosine + line / 2
        for column, width in enumerate(widths)
    ]
    left = MARGIN + max((fonts.width(token, points) for token in target), default=0)
    left += 2 * LABEL_GAP + (NAME_SPACE if record.layers > 1 else 0)
    bar_left = left + all_width + max(BAR_GAP, NAME_SPACE / 2)
    right = max(
        bar_left + BAR_WIDTH + BAR_LABELS, left + all_width - panel[0] + max(ends, default=0)
    )
    width = max(right + MARGIN, MINIMUM_WIDTH if record.title else 0)
    title = wrap_title(record.title, width - 2 * MARGIN, fonts)
    top = MARGIN + (len(title) * title_line_height() + 0.1 if title else 0)
    top += NAME_SPACE if record.heads > 1 else 0
    top += max(widths, default=0) * sine + line * cosine + LABEL_GAP
    bar_height = min(1.3, max(0.6, all_height))
    return _Layout(
        cell=cell,
        panel=panel,
        pitch=pitch,
        corner=(left, top),
        size=(width, top + max(all_height, bar_height) + MARGIN),
        bar=(bar_left, bar_height),
        label_points=points,
        rotation=rotation,
        label_stride=math.ceil(line / cell),
        title=title,
    )


def _cell(rows: int, columns: int, layers: int, heads: int) -> float:
    """Return the side of a cell: as in a single heatmap if the grid is small, else smaller.

    It is at least 0.05 inches, unless the grid would then be larger than 36 inches.
    """
    cells = max(rows * layers, columns * heads)
    comfortable = min(cell_size(max(rows, columns)), COMFORTABLE_SIDE / cells)
    return min(max(comfortable, SMALLEST_CELL), MAXIMUM_MATRIX / cells)


def _draw_panel(
    axes: Axes, weights: npt.NDArray[np.float64], corner: tuple[float, float], layout: _Layout
) -> None:
    (left, top), (width, height) = corner, layout.panel
    right, bottom = left + width, top + height
    if weights.size:
        axes.imshow(
            weights,
            cmap=color_map(),
            vmin=0,
            vmax=1,
            interpolation="antialiased",
            extent=(left, right, bottom, top),
        )
    if layout.cell >= SMALLEST_GRID:
        across = np.arange(left + layout.cell, right - layout.cell / 2, layout.cell)
        down = np.arange(top + layout.cell, bottom - layout.cell / 2, layout.cell)
        axes.vlines(across, top, bottom, color=GRID, linewidth=0.5)
        axes.hlines(down, left, right, color=GRID, linewidth=0.5)
    outline = ([left, right, right, left, left], [top, top, bottom, bottom, top])
    axes.plot(*outline, color=FAINT, linewidth=0.6, solid_joinstyle="miter", zorder=3)


def _draw_tokens(
    axes: Axes,
    source: list[str],
    target: list[str],
    record: AttentionRecord,
    layout: _Layout,
    fonts: PictureFonts,
) -> None:
    """Write source tokens above the top panels and target tokens left of the first panels."""
    points = layout.label_points
    for head in range(record.heads):
        left, top = layout.panel_corner(0, head)
        for column in range(0, len(source), layout.label_stride):
            edge = (left + (column + 0.5) * layout.cell, top)
            draw_source_label(axes, edge, source[column], fonts, points, layout.rotation)
    for layer in range(record.layers):
        left, top = layout.panel_corner(layer, 0)
        for row in range(0, len(target), layout.label_stride):
            edge = (left, top + (row + 0.5) * layout.cell)
            draw_target_label(axes, edge, target[row], fonts, points)


def _draw_names(axes: Axes, record: AttentionRecord, layout: _Layout, fonts: PictureFonts) -> None:
    """Write "layer 1" etc. on the left if there are several layers, and "head 1" etc. on top."""
    width, height = layout.panel
    titles = len(layout.title) * title_line_height() + 0.1 if layout.title else 0
    style: dict[str, Any] = dict(
        ha="center",
        va="center",
        color=INK,
        fontproperties=fonts.sized(NAME_POINTS, bold=True),
    )
    for head in range(record.heads) if record.heads > 1 else ():
        middle = layout.panel_corner(0, head)[0] + width / 2
        axes.text(middle, MARGIN + titles + NAME_SPACE / 3, f"head {head + 1}", **style)
    for layer in range(record.layers) if record.layers > 1 else ():
        middle = layout.panel_corner(layer, 0)[1] + height / 2
        axes.text(MARGIN + NAME_SPACE / 3, middle, f"layer {layer + 1}", rotation=90, **style)
