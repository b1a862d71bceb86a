"""What surrounds a matrix of weights: token labels, the color bar and the title.

Lengths are inches unless a name says points.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure

from nmt.reporting.heatmaps.colors import MISSING, WHITE_TO_NAVY
from nmt.reporting.heatmaps.sizes import LABEL_GAP, MARGIN
from nmt.reporting.heatmaps.typesetting import (
    POINTS_PER_INCH,
    TITLE_POINTS,
    text_font,
    text_width,
    title_line_height,
)

INK, FAINT, GRID = "#1f2933", "#93a1b0", "#e3e8ed"  # text, secondary marks, lines between cells

MARK_GAP = 0.1  # between the word-start mark and the token, as a share of the font size

WORD_START = "\u2581"  # SentencePiece marks the beginning of a word with it


@cache
def color_map() -> Colormap:
    """Return the color map from white at 0 to navy at 1, with NaN in a transparent red."""
    scale = LinearSegmentedColormap.from_list("white_to_navy", WHITE_TO_NAVY)
    return scale.with_extremes(bad=MISSING)


def draw_source_label(
    axes: Axes, edge: tuple[float, float], token: str, points: float, rotation: float
) -> None:
    """Write a token upwards from `edge`, the upper edge of its column; `rotation` in degrees."""
    angle = math.radians(rotation)
    mark, rest = _split_mark(token)
    # Rotated text leans to the right of its anchor. Start to the left to compensate.
    start = np.array([-0.3 * points * math.cos(angle), LABEL_GAP * POINTS_PER_INCH])
    along = _mark_length(mark, points) * np.array([math.cos(angle), math.sin(angle)])
    for text, color, offset in ((mark, FAINT, start), (rest, INK, start + along)):
        _write(axes, text, edge, offset, color, points, rotation=rotation)


def draw_target_label(axes: Axes, edge: tuple[float, float], token: str, points: float) -> None:
    """Write a token that ends at `edge`, the left edge of its row."""
    mark, rest = _split_mark(token)
    start = -LABEL_GAP * POINTS_PER_INCH
    rest_length = text_width(rest, points) * POINTS_PER_INCH
    before = start - rest_length - (MARK_GAP * points if rest else 0)
    for text, color, offset in ((rest, INK, start), (mark, FAINT, before)):
        _write(axes, text, edge, (offset, 0), color, points, ha="right")


def draw_color_bar(figure: Figure, box: tuple[float, float, float, float]) -> None:
    """Draw the color bar in `box`: left, bottom, width, height in fractions of the figure."""
    axes = figure.add_axes(box)
    mappable = ScalarMappable(Normalize(0, 1), color_map())
    bar = figure.colorbar(mappable, cax=axes, ticks=[0, 0.5, 1])
    axes.set_yticks([0, 0.5, 1], ["0", "0.5", "1"], fontproperties=text_font(7), color=INK)
    axes.tick_params(length=2, width=0.5, color=FAINT, pad=2)
    bar.outline.set(edgecolor=FAINT, linewidth=0.5)


def draw_title(figure: Figure, lines: Sequence[str]) -> None:
    """Write the lines of the title in the upper left corner of the figure."""
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
    """Split a token into its word-start mark, which is drawn in a fainter color, and the rest."""
    rest = token.lstrip(WORD_START)
    return token[: len(token) - len(rest)], rest


def _mark_length(mark: str, points: float) -> float:
    """Return the distance in points from the mark's beginning to the rest of its token."""
    return text_width(mark, points) * POINTS_PER_INCH + MARK_GAP * points if mark else 0.0
