"""How a heatmap is laid out and drawn. All lengths are inches unless a name says points.

The layout is computed, not fitted: cells have a chosen size, margins are as wide as the widest
label, and the figure is as large as both together. So two tokens and eighty look alike.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure

from nmt.reporting.heatmaps.colors import MISSING, WHITE_TO_NAVY
from nmt.reporting.heatmaps.text import (
    POINTS_PER_INCH,
    TITLE_POINTS,
    text_font,
    text_width,
    title_line_height,
    token_label,
    wrap_title,
)

if TYPE_CHECKING:
    from nmt.reporting.heatmaps.heatmap import Heatmap

SCREEN_DPI = 100
INK, FAINT, GRID = "#1f2933", "#93a1b0", "#e3e8ed"

MARGIN = 0.15
LABEL_GAP = 0.075
MARK_GAP = 0.1  # of the label size
BAR_GAP, BAR_WIDTH, BAR_LABELS = 0.16, 0.09, 0.3
MINIMUM_WIDTH = 3.2  # of a figure with a title
SMALLEST_GRID = 0.15  # cells smaller than this have no lines between them
MAXIMUM_MATRIX = 36.0

WORD_START = "\u2581"  # SentencePiece writes it where a word begins


@dataclass(frozen=True)
class _Layout:
    """Where everything goes: the matrix is `rows` x `columns` cells, margins surround it."""

    rows: int
    columns: int
    cell: float
    label_points: float
    rotation: float  # of the source labels, degrees
    label_stride: int  # 1: every token is labelled; 3: every third
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
        """A box hanging from the matrix's top edge, as matplotlib's fractions of the figure."""
        bottom = self.height - self.top - height
        return left / self.width, bottom / self.height, width / self.width, height / self.height


def draw(heatmap: Heatmap) -> Figure:
    """Draw `heatmap` on a figure of its own."""
    source = [token_label(token) for token in heatmap.source]
    target = [token_label(token) for token in heatmap.target]
    layout = _plan(source, target, heatmap.title)
    points = layout.label_points
    figure = Figure(figsize=(layout.width, layout.height), dpi=SCREEN_DPI, facecolor="white")
    axes = figure.add_axes(layout.box(layout.left, layout.matrix_width, layout.matrix_height))
    _draw_cells(axes, np.asarray(heatmap.weights, dtype=np.float64), layout)
    for column in range(0, len(source), layout.label_stride):
        draw_source_label(axes, (column, -0.5), source[column], points, layout.rotation)
    for row in range(0, len(target), layout.label_stride):
        draw_target_label(axes, (-0.5, row), target[row], points)
    left = layout.left + layout.matrix_width + BAR_GAP
    draw_scale(figure, layout.box(left, BAR_WIDTH, layout.bar_height))
    draw_title(figure, layout.title)
    return figure


def _plan(source: Sequence[str], target: Sequence[str], title: str) -> _Layout:
    rows, columns = max(len(target), 1), max(len(source), 1)
    cell = cell_size(max(rows, columns))
    points = min(9.5, max(6.5, 0.58 * cell * POINTS_PER_INCH))
    line = 1.15 * points / POINTS_PER_INCH
    rotation = 50.0 if cell * math.sin(math.radians(50)) >= line else 90.0
    sine, cosine = math.sin(math.radians(rotation)), math.cos(math.radians(rotation))
    source_widths = [text_width(token, points) for token in source]
    ends = [
        (column + 0.5) * cell + (width + LABEL_GAP) * cosine + line / 2
        for column, width in enumerate(source_widths)
    ]
    bar_height = min(1.3, max(0.6, rows * cell))
    left = MARGIN + max((text_width(token, points) for token in target), default=0) + LABEL_GAP
    right = max(BAR_GAP + BAR_WIDTH + BAR_LABELS, max(ends, default=0) - columns * cell) + MARGIN
    if title:
        right = max(right, MINIMUM_WIDTH - left - columns * cell)
    title_lines = wrap_title(title, left + columns * cell + right - 2 * MARGIN)
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


def cell_size(tokens: int) -> float:
    """Inches: 0.34 for short sentences, shrinking to 0.2, and below only for huge matrices."""
    comfortable = float(np.interp(tokens, [12, 60], [0.34, 0.2]))
    return min(comfortable, MAXIMUM_MATRIX / tokens)


def _draw_cells(axes: Axes, weights: npt.NDArray[np.float64], layout: _Layout) -> None:
    if weights.size:
        axes.imshow(weights, cmap=colors(), vmin=0, vmax=1, interpolation="antialiased")
    right, bottom = layout.columns - 0.5, layout.rows - 0.5
    axes.set(aspect="auto", xlim=(-0.5, right), ylim=(bottom, -0.5), xticks=[], yticks=[])
    if layout.cell >= SMALLEST_GRID:
        axes.vlines(np.arange(0.5, right), -0.5, bottom, color=GRID, linewidth=0.5)
        axes.hlines(np.arange(0.5, bottom), -0.5, right, color=GRID, linewidth=0.5)
    for spine in axes.spines.values():
        spine.set(color=FAINT, linewidth=0.6, zorder=3)


def draw_source_label(
    axes: Axes, edge: tuple[float, float], token: str, points: float, rotation: float
) -> None:
    """Write a token upwards from its column's upper `edge`, the word-start mark first."""
    angle = math.radians(rotation)
    mark, rest = _split_mark(token)
    # A slanted line of text leans to the right of where it starts; begin a little to the left.
    start = np.array([-0.3 * points * math.cos(angle), LABEL_GAP * POINTS_PER_INCH])
    along = _mark_length(mark, points) * np.array([math.cos(angle), math.sin(angle)])
    for text, color, offset in ((mark, FAINT, start), (rest, INK, start + along)):
        _write(axes, text, edge, offset, color, points, rotation=rotation)


def draw_target_label(axes: Axes, edge: tuple[float, float], token: str, points: float) -> None:
    """Write a token leftwards from its row's left `edge`, so that it ends at the matrix."""
    mark, rest = _split_mark(token)
    start = -LABEL_GAP * POINTS_PER_INCH
    rest_length = text_width(rest, points) * POINTS_PER_INCH
    before = start - rest_length - (MARK_GAP * points if rest else 0)
    for text, color, offset in ((rest, INK, start), (mark, FAINT, before)):
        _write(axes, text, edge, (offset, 0), color, points, ha="right")


def _write(
    axes: Axes,
    text: str,
    edge: tuple[float, float],
    offset_points: Sequence[float] | npt.NDArray[np.float64],
    color: str,
    points: float,
    rotation: float = 0,
    ha: str = "left",
) -> None:
    if text:
        axes.annotate(
            text,
            xy=edge,
            xytext=(float(offset_points[0]), float(offset_points[1])),
            textcoords="offset points",
            rotation=rotation,
            rotation_mode="anchor",
            ha=ha,
            va="center_baseline",
            color=color,
            fontproperties=text_font(points),
            parse_math=False,
            annotation_clip=False,
        )


def _split_mark(token: str) -> tuple[str, str]:
    rest = token.lstrip(WORD_START)
    return token[: len(token) - len(rest)], rest


def _mark_length(mark: str, points: float) -> float:
    """Points from where the mark begins to where the rest of its token begins."""
    return text_width(mark, points) * POINTS_PER_INCH + MARK_GAP * points if mark else 0.0


def draw_scale(figure: Figure, box: tuple[float, float, float, float]) -> None:
    """Draw the colour bar in `box`, given in fractions of the figure."""
    axes = figure.add_axes(box)
    scale = figure.colorbar(ScalarMappable(Normalize(0, 1), colors()), cax=axes, ticks=[0, 0.5, 1])
    axes.set_yticks([0, 0.5, 1], ["0", "0.5", "1"], fontproperties=text_font(7), color=INK)
    axes.tick_params(length=2, width=0.5, color=FAINT, pad=2)
    scale.outline.set(edgecolor=FAINT, linewidth=0.5)


def draw_title(figure: Figure, lines: Sequence[str]) -> None:
    """Write the title's lines at the figure's upper left."""
    width, height = figure.get_size_inches()
    for number, text in enumerate(lines):
        figure.text(
            MARGIN / width,
            1 - (MARGIN + number * title_line_height()) / height,
            text,
            ha="left",
            va="top",
            color=INK,
            fontproperties=text_font(TITLE_POINTS, bold=True),
            parse_math=False,
        )


@cache
def colors() -> Colormap:
    """White for 0 to navy for 1; NaN in a transparent red."""
    scale = LinearSegmentedColormap.from_list("white_to_navy", WHITE_TO_NAVY)
    return scale.with_extremes(bad=MISSING)
