"""Histograms as inline SVG for HTML pages; the page's style sets their colors."""

import html
import math
from collections.abc import Iterator, Mapping, Sequence

Bins = Sequence[Sequence[float]]
"""Rows of low, high, count. Integer bins include ``high``; other bins end below it."""

_WIDTH, _HEIGHT = 600, 190  # SVG user units; the page scales them
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 8, 10, 26
_GAP = 0.18  # between the bars of two bins, as a share of the width of a bin


def histogram(label: str, series: Mapping[str, Bins], of: str, counted: str) -> str:
    """Return an SVG element with one group of adjacent bars per bin, one bar per series.

    Args:
        label: A description for screen readers.
        series: Bins by the name of the series, in the order of the classes ``series-1`` and
            ``series-2``.
        of: The unit of the bins' limits, e.g. ``words``.
        counted: What the bars count, e.g. ``lines``.
    """
    # Series may end at different values in their last bin; the bin shown covers all of them.
    highs: dict[float, float] = {}
    for low, high, _ in (row for rows in series.values() for row in rows):
        highs[low] = max(high, highs.get(low, high))
    bins = sorted(highs.items())
    counts = {name: {row[0]: row[2] for row in rows} for name, rows in series.items()}
    totals = {name: sum(by_low.values()) for name, by_low in counts.items()}
    highest = max((n for by_low in counts.values() for n in by_low.values()), default=0)
    ticks = _ticks(highest)
    step = (_WIDTH - _LEFT - _RIGHT) / max(1, len(bins))
    parts = [*_scale(ticks)]
    for number, (low, high) in enumerate(bins):
        tooltip = "\n".join(
            f"{name}: {counts[name].get(low, 0):,.0f} {counted} "
            f"({_share(counts[name].get(low, 0), totals[name])})"
            for name in series
        )
        left = _LEFT + number * step
        parts.append(f'<g class="bin" tabindex="0"><title>{_span(low, high)} {of}\n')
        parts[-1] += f"{html.escape(tooltip)}</title>"
        parts.append(f'<rect class="back" x="{left:.2f}" y="{_TOP}" width="{step:.2f}"')
        parts[-1] += f' height="{_HEIGHT - _TOP - _BOTTOM}"/>'
        parts += _bars([by_low.get(low, 0) for by_low in counts.values()], left, step, ticks[-1])
        parts.append(f'<text class="low" x="{left + _GAP * step / 2:.2f}" y="{_HEIGHT - 10}">')
        parts[-1] += f"{_number(low)}</text></g>"
    return (
        f'<svg class="histogram" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="group" '
        f'aria-label="{html.escape(label)}">{"".join(parts)}</svg>'
    )


def _bars(values: Sequence[float], left: float, step: float, top: float) -> Iterator[str]:
    width = step * (1 - _GAP) / len(values)
    for number, value in enumerate(values):
        if value:
            # At least one unit high, so that rare values stay visible.
            height = max(1.0, value / top * (_HEIGHT - _TOP - _BOTTOM))
            x, y = left + step * _GAP / 2 + number * width, _HEIGHT - _BOTTOM - height
            yield (
                f'<rect class="series-{number + 1}" x="{x:.2f}" y="{y:.2f}" '
                f'width="{width:.2f}" height="{height:.2f}"/>'
            )


def _scale(ticks: Sequence[float]) -> Iterator[str]:
    for tick in ticks:
        y = _HEIGHT - _BOTTOM - tick / ticks[-1] * (_HEIGHT - _TOP - _BOTTOM)
        yield f'<line class="tick" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.2f}" y2="{y:.2f}"/>'
        yield f'<text class="count" x="{_LEFT - 6}" y="{y + 3.5:.2f}">{_short(tick)}</text>'


def _ticks(highest: float) -> list[float]:
    """Return two to five round numbers from 0 up to at least the highest count."""
    raw = max(1.0, highest) / 4
    power = 10.0 ** math.floor(math.log10(raw))
    step = max(1.0, next(power * by for by in (1, 2, 2.5, 5, 10) if power * by >= raw))
    return [step * number for number in range(math.ceil(max(1.0, highest) / step) + 1)]


def _short(count: float) -> str:
    """Format a count for an axis, e.g. 500, 12k or 3G."""
    for size, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= size:
            return f"{count / size:g}{suffix}"
    return f"{count:g}"


def _span(low: float, high: float) -> str:
    """Format the limits of a bin."""
    if isinstance(low, int) and isinstance(high, int):
        return f"{low:,}" if low == high else f"{low:,}–{high:,}"
    return f"{_number(low)}–{_number(high)}"


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def _share(count: float, total: float) -> str:
    return f"{100 * count / total:.1f} %" if total else "0 %"
