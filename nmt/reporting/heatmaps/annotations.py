"""Draws the token labels, the color bar and the title around a matrix of weights.

Lengths are inches unless a name says points.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from functools import cache

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties

from nmt.reporting.heatmaps.colors import MISSING, WHITE_TO_NAVY
from nmt.reporting.heatmaps.fonts import POINTS_PER_INCH, PictureFonts
from nmt.reporting.heatmaps.sizes import LABEL_GAP, MARGIN
from nmt.reporting.heatmaps.typesetting import TITLE_POINTS, title_line_height

INK, FAINT, GRID = "#1f2933", "#93a1b0", "#e3e8ed"  # text, secondary marks, lines between cells

MARK_GAP = 0.1  # between the word-start mark and the token, as a share of the font size

WORD_START = "\u2581"  # SentencePiece marks the beginning of a word with it


@cache
def color_map() -> Colormap:
    """Return the color map from white at 0 to navy at 1; NaN is a transparent red."""
    scale = LinearSegmentedColormap.from_list("white_to_navy", WHITE_TO_NAVY)
    return scale.with_extremes(bad=MISSING)


def draw_source_label(
    axes: Axes,
    edge: tuple[float, float],
    token: str,
    fonts: PictureFonts,
    points: float,
    rotation: float,
) -> None:
    """Write a token upwards from `edge`, the top of its column; `rotation` is in degrees."""
    angle = math.radians(rotation)
    # Rotated text leans to the right of its anchor. Start to the left to compensate.
    offset = np.array([-0.3 * points * math.cos(angle), LABEL_GAP * POINTS_PER_INCH])
    for text, color in _parts(token):
        _write(axes, text, edge, offset, color, fonts.sized(points), rotation=rotation)
        along = fonts.width(text, points) * POINTS_PER_INCH + MARK_GAP * points
        offset = offset + along * np.array([math.cos(angle), math.sin(angle)])


def draw_target_label(
    axes: Axes, edge: tuple[float, float], token: str, fonts: PictureFonts, points: float
) -> None:
    """Write a token that ends at `edge`, the left edge of its row."""
    offset = -LABEL_GAP * POINTS_PER_INCH
    for text, color in reversed(_parts(token)):
        _write(axes, text, edge, (offset, 0), color, fonts.sized(points), ha="right")
        offset -= fonts.width(text, points) * POINTS_PER_INCH + MARK_GAP * points


def draw_color_bar(
    figure: Figure, box: tuple[float, float, float, float], fonts: PictureFonts
) -> None:
    """Draw the color bar in `box`: left, bottom, width, height in fractions of the figure."""
    axes = figure.add_axes(box)
    mappable = ScalarMappable(Normalize(0, 1), color_map())
    bar = figure.colorbar(mappable, cax=axes, ticks=[0, 0.5, 1])
    axes.set_yticks([0, 0.5, 1], ["0", "0.5", "1"], fontproperties=fonts.sized(7), color=INK)
    axes.tick_params(length=2, width=0.5, color=FAINT, pad=2)
    bar.outline.set(edgecolor=FAINT, linewidth=0.5)


def draw_title(figure: Figure, lines: Sequence[str], fonts: PictureFonts) -> None:
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
            fontproperties=fonts.sized(TITLE_POINTS, bold=True),
            parse_math=False,
        )


def _write(
    axes: Axes,
    text: str,
    edge: tuple[float, float],
    offset_points: Sequence[float] | npt.NDArray[np.float64],
    color: str,
    font: FontProperties,
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
            fontproperties=font,
            parse_math=False,
            annotation_clip=False,
        )


def _parts(token: str) -> list[tuple[str, str]]:
    """Return a token's word-start mark and its rest, each with its color, from left to right."""
    rest = token.lstrip(WORD_START)
    parts = [(token[: len(token) - len(rest)], FAINT), (rest, INK)]
    directions = (unicodedata.bidirectional(character) for character in rest)
    first = next((direction for direction in directions if direction in ("L", "R", "AL")), "L")
    ordered = parts if first == "L" else reversed(parts)
    return [(text, color) for text, color in ordered if text]
