"""Curves as inline SVG for HTML pages, distinguishable without color by markers and dashes.

The page's style has the classes ``curve-1`` to ``curve-6``, which set color and dashes.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nmt.printable import printable

CURVES = 6
"""The number of different styles; further curves repeat the styles with other markers."""

_WIDTH, _HEIGHT = 640, 300  # SVG user units; the page scales them
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 16, 12, 34
_MOST_MARKERS = 40  # per curve; more would hide the line
_MARKERS = ("circle", "square", "triangle", "diamond", "cross")


@dataclass(frozen=True)
class Line:
    """A curve.

    Attributes:
        name: The name in the legend.
        points: Pairs of x and y, in order of x; at least one.
    """

    name: str
    points: Sequence[tuple[float, float]]


def line_chart(lines: Sequence[Line], x: str, y: str) -> str:
    """Return a figure: an SVG element, and a legend below it if there are several curves.

    Args:
        lines: At least one.
        x: Name of the horizontal axis, e.g. ``updates``.
        y: Name of the vertical axis, e.g. ``validation BLEU``.
    """
    points = [point for line in lines for point in line.points]
    x_ticks = ticks(min(p[0] for p in points), max(p[0] for p in points))
    y_ticks = ticks(min(p[1] for p in points), max(p[1] for p in points))
    scale = _Scale(x_ticks[0], x_ticks[-1], y_ticks[0], y_ticks[-1])
    parts = [*_axes(scale, x_ticks, y_ticks, x)]
    for number, line in enumerate(lines):
        parts += _curve(line, number, scale, x, y)
    chart = (
        f'<svg class="lines" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{_text(y)} over {_text(x)}">{"".join(parts)}</svg>'
    )
    legend = "".join(_legend(lines)) if len(lines) > 1 else ""
    return f'<figure class="chart"><figcaption>{_text(y)}</figcaption>{chart}{legend}</figure>'


@dataclass(frozen=True)
class _Scale:
    """Maps values to SVG units."""

    left: float
    right: float
    low: float
    high: float

    def x(self, value: float) -> float:
        share = (value - self.left) / (self.right - self.left)
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)


def ticks(low: float, high: float) -> list[float]:
    """Return 2 to 7 round numbers whose range contains that of the values."""
    if high - low <= abs(high) * 1e-9:
        low, high = low - (abs(low) or 1) / 2, high + (abs(high) or 1) / 2
    raw = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * by for by in (1, 2, 2.5, 5, 10) if power * by >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [number * step for number in range(first, last + 1)]


def _axes(
    scale: _Scale, x_ticks: Sequence[float], y_ticks: Sequence[float], x: str
) -> Iterator[str]:
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    for tick in y_ticks:
        y = scale.y(tick)
        yield f'<line class="tick" x1="{_LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text class="y" x="{_LEFT - 6}" y="{y + 4:.1f}">{_number(tick)}</text>'
    for tick in x_ticks:
        yield f'<text class="x" x="{scale.x(tick):.1f}" y="{bottom + 15}">{_number(tick)}</text>'
    yield f'<text class="x" x="{(_LEFT + right) / 2:.0f}" y="{_HEIGHT - 4}">{_text(x)}</text>'


def _curve(line: Line, number: int, scale: _Scale, x: str, y: str) -> Iterator[str]:
    style = f"curve-{number % CURVES + 1}"
    path = " ".join(f"{scale.x(a):.1f},{scale.y(b):.1f}" for a, b in line.points)
    yield f'<polyline class="{style}" points="{path}"/>'
    step = max(1, math.ceil(len(line.points) / _MOST_MARKERS))
    for a, b in [*line.points[:-1:step], line.points[-1]]:
        title = f"{line.name}: {y} {_number(b)} at {_number(a)} {x}"
        shape = _marker(_MARKERS[number % len(_MARKERS)], scale.x(a), scale.y(b))
        yield f'<g class="{style}"><title>{_text(title)}</title>{shape}</g>'


def _marker(kind: str, x: float, y: float) -> str:
    if kind == "circle":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>'
    corners = {
        "square": ((-3, -3), (3, -3), (3, 3), (-3, 3)),
        "triangle": ((0, -4.5), (4, 3), (-4, 3)),
        "diamond": ((0, -4.5), (4.5, 0), (0, 4.5), (-4.5, 0)),
        "cross": ((-4, -1), (4, -1), (4, 1), (-4, 1)),
    }[kind]
    return f'<polygon points="{" ".join(f"{x + a:.1f},{y + b:.1f}" for a, b in corners)}"/>'


def _legend(lines: Sequence[Line]) -> Iterator[str]:
    yield '<ul class="legend">'
    for number, line in enumerate(lines):
        style = f"curve-{number % CURVES + 1}"
        shape = _marker(_MARKERS[number % len(_MARKERS)], 18, 7)
        sample = (
            f'<svg viewBox="0 0 36 14" aria-hidden="true"><polyline class="{style}" '
            f'points="0,7 36,7"/><g class="{style}">{shape}</g></svg>'
        )
        yield f"<li>{sample}{_text(line.name)}</li>"
    yield "</ul>"


def _number(value: float) -> str:
    """Return up to 4 significant digits, with separators."""
    if value == int(value) and abs(value) < 1e9:
        return f"{int(value):,}"
    return f"{value:.4g}"


def _text(text: str) -> str:
    return html.escape(printable(text))
