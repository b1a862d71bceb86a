"""Charts show every curve inside the plot, and their ticks enclose the values."""

import math
import re

import pytest

from nmt.reporting.pages.line_chart import CURVES, Line, line_chart, ticks


@pytest.mark.parametrize(
    ("low", "high"),
    [
        (0, 1),
        (0.04, 0.05),
        (3, 3),
        (0, 0),
        (-2, 5),
        (1e-7, 2e-7),
        (20, 33_000),
        (1e9, 3e9),
        (-5, -5),
    ],
)
def test_ticks_enclose_the_values(low: float, high: float) -> None:
    found = ticks(low, high)
    slack = 1e-6 * (abs(high) + abs(low))
    assert found[0] <= low + slack
    assert found[-1] >= high - slack
    assert 2 <= len(found) <= 8
    steps = [b - a for a, b in zip(found, found[1:], strict=False)]
    assert steps == pytest.approx([steps[0]] * len(steps))


def _numbers(chart: str, pattern: str) -> list[float]:
    return [float(number) for text in re.findall(pattern, chart) for number in text.split(",")]


def test_all_points_lie_in_the_plot() -> None:
    lines = [
        Line(f"curve {n}", [(x, math.sin(x / 9 + n)) for x in range(200)])
        for n in range(CURVES + 3)
    ]
    chart = line_chart(lines, "updates", "score")
    points = re.findall(r'<polyline class="curve-\d" points="([^"]*)"', chart)
    drawn = [p for p in points if len(p.split()) == 200]
    assert len(drawn) == len(lines)
    for path in drawn:
        for point in path.split():
            x, y = map(float, point.split(","))
            assert 0 <= x <= 640
            assert 0 <= y <= 300
    assert chart.count("<li>") == len(lines)


def test_names_are_text() -> None:
    chart = line_chart([Line("<b>\x1b", [(0, 1), (1, 2)]), Line("b", [(0, 1)])], "x", "y & z")
    assert "<b>" not in chart
    assert "\x1b" not in chart
    assert "y &amp; z" in chart


def test_each_marker_names_its_value() -> None:
    chart = line_chart([Line("valid", [(100, 12.5), (200, 20)])], "updates", "BLEU")
    assert "<title>valid: BLEU 12.5 at 100 updates</title>" in chart
    assert chart.count("<title>") == 2
    assert "<li>" not in chart
