"""Curves of several runs in one picture, distinguishable without color.

Each curve has a marker and a line style, and its name stands at its end. The functions import
matplotlib when they are called, because it loads slowly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nmt.durable_file import atomic_write

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_CURVES = 20
"""The greatest number of curves; more names do not fit. The best last scores are drawn."""

_DPI = 150
_LINE_HEIGHT = 0.19  # of a name, in inches
_MARKERS = "os^Dv*PX<>"
_STYLES = ("-", "--", "-.", ":")
_COLORS = (  # of Okabe & Ito 2008, without the yellow, which is too light for a line
    *("#000000", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00"),
)


@dataclass(frozen=True)
class Curve:
    """The scores of one run.

    Attributes:
        name: The name at the end of the curve.
        updates: The update at which each score was measured.
        minutes: The minutes of training at which each score was measured.
        scores: The scores; at least one.
    """

    name: str
    updates: Sequence[float]
    minutes: Sequence[float]
    scores: Sequence[float]


def minutes_of_updates(updates: Sequence[float], last: float, seconds: float) -> list[float]:
    """Return the minutes of training after some updates of a finished run.

    Minutes = update / last update * training time: times in the log would include the pauses
    before a run was resumed.

    Args:
        updates: Numbers of updates.
        last: Number of the last update.
        seconds: Training time of the run, without its pauses.
    """
    return [update / last * seconds / 60 for update in updates]


def save_curves(curves: Sequence[Curve], score: str, path: Path) -> None:
    """Draw scores over updates and over minutes, side by side, to a PNG file.

    Args:
        curves: At least one.
        score: The name of the score; larger is better.
        path: The file; it appears complete or not at all.
    """
    best = sorted(curves, key=lambda curve: curve.scores[-1], reverse=True)[:MOST_CURVES]
    drawn = [curve for curve in curves if curve in best]  # keeps the styles of a table's rows
    figure = _figure(drawn, score, left_out=len(curves) - len(drawn))
    with atomic_write(path) as partial:
        figure.savefig(partial, format="png", dpi=_DPI)


def _figure(curves: Sequence[Curve], score: str, left_out: int) -> Figure:
    from matplotlib.figure import Figure

    height = max(4.5, 1.4 + _LINE_HEIGHT * len(curves))
    figure = Figure(figsize=(13, height), layout="constrained")
    for axes, axis in zip(figure.subplots(1, 2, sharey=True), ("updates", "minutes"), strict=True):
        for number, curve in enumerate(curves):
            axes.plot(getattr(curve, axis), curve.scores, label=curve.name, **_style(number))
        axes.set_xlabel("updates" if axis == "updates" else "minutes of training")
        axes.grid(visible=True, color="#dddddd", linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        _name_ends(axes, curves, axis, height)
    figure.axes[0].set_ylabel(score)
    if left_out:
        figure.suptitle(f"the {len(curves)} best of {len(curves) + left_out} runs", fontsize=10)
    return figure


def _style(number: int) -> dict[str, Any]:
    """Return marker, line style and color; 140 curves in a row differ."""
    return {
        "marker": _MARKERS[number % len(_MARKERS)],
        "linestyle": _STYLES[number % len(_STYLES)],
        "color": _COLORS[number % len(_COLORS)],
        "markersize": 5,
        "linewidth": 1.4,
    }


def _name_ends(axes: Axes, curves: Sequence[Curve], axis: str, height: float) -> None:
    """Write marker, name and last score of each curve right of the plot, with a line to its end."""
    low, high = axes.get_ylim()
    gap = (high - low) * _LINE_HEIGHT / (height - 1)
    heights = spread([curve.scores[-1] for curve in curves], gap, low, high)
    beside = axes.get_yaxis_transform()  # x in widths of the plot, y in scores
    for number, (curve, at) in enumerate(zip(curves, heights, strict=True)):
        style = _style(number)
        axes.plot([1.06], [at], transform=beside, clip_on=False, **style)
        axes.annotate(
            "",
            xy=(getattr(curve, axis)[-1], curve.scores[-1]),
            xytext=(1.05, at),
            textcoords=beside,
            arrowprops={"arrowstyle": "-", "color": style["color"], "linewidth": 0.5},
        )
        text = f"{curve.name}  {curve.scores[-1]:.1f}"
        axes.text(1.08, at, text, transform=beside, va="center", fontsize=9, parse_math=False)
    axes.set_ylim(low, high)


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Return positions near the wanted ones that are at least ``gap`` apart, in the same order.

    They lie between ``low`` and ``high`` if they fit there, else they begin at ``low``.
    """
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    placed = [0.0] * len(wanted)
    floor = low
    for index in order:  # upward: each at least a gap above the one below
        placed[index] = max(wanted[index], floor)
        floor = placed[index] + gap
    ceiling = max(high, low + gap * (len(wanted) - 1))
    for index in reversed(order):  # downward: back below the upper edge
        placed[index] = min(placed[index], ceiling)
        ceiling = placed[index] - gap
    return placed
