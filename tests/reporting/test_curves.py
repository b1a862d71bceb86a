"""Pictures of curves: names do not overlap, and curves can be told apart without color."""

import random
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from nmt.reporting import curves
from nmt.reporting.curves import MOST_CURVES, Curve, save_curves, spread


def curve(name: str, last: float) -> Curve:
    return Curve(name, [10, 20], [0.5, 1.0], [0.0, last])


@pytest.mark.parametrize("seed", range(5))
def test_positions_are_apart_in_order_and_inside(seed: int) -> None:
    numbers = random.Random(seed)
    wanted = [numbers.choice([1.0, 1.1, 2.0, 9.9, numbers.uniform(0, 10)]) for _ in range(12)]
    found = spread(wanted, 0.7, 0, 10)
    order = sorted(range(12), key=lambda index: wanted[index])
    ranked = [found[index] for index in order]
    assert all(high - low > 0.7 - 1e-9 for low, high in pairwise(ranked))
    assert ranked[0] >= -1e-9
    assert ranked[-1] <= 10 + 1e-9


def test_positions_that_are_far_apart_stay() -> None:
    assert spread([5.0, 1.0, 9.0], 1.0, 0, 10) == [5.0, 1.0, 9.0]


def test_without_room_positions_begin_at_the_lower_edge() -> None:
    assert spread([3.0, 3.0, 3.0], 4.0, 0, 5) == [0.0, 4.0, 8.0]


def drawn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, given: list[Curve]) -> Any:
    """The figure of a file that was written."""
    figures = []
    make = curves._figure
    monkeypatch.setattr(
        curves, "_figure", lambda *a, **k: figures.append(make(*a, **k)) or figures[-1]
    )
    save_curves(given, "BLEU", tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    return figures[0]


def test_each_curve_has_its_own_marker_and_its_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    names = [f"luong_{number}$_x" for number in range(10)]  # $ does not begin a formula
    figure = drawn(monkeypatch, tmp_path, [curve(name, 20.0) for name in names])
    for axes in figure.axes:
        lines = [line for line in axes.lines if len(line.get_xdata()) == 2]
        assert len({line.get_marker() for line in lines}) == len(names)
        labels = [text for text in axes.texts if text.get_text()]
        assert [text.get_text() for text in labels] == [f"{name}  20.0" for name in names]
        boxes = sorted((text.get_window_extent() for text in labels), key=lambda box: float(box.y0))
        assert all(low.y1 <= high.y0 + 1 for low, high in pairwise(boxes)), "names overlap"


def test_styles_repeat_late() -> None:
    styles = [tuple(curves._style(number).values()) for number in range(140)]
    assert len(set(styles)) == 140


def test_of_many_curves_the_best_are_drawn_and_the_picture_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    count = MOST_CURVES + 5
    figure = drawn(monkeypatch, tmp_path, [curve(f"run {n}", float(n)) for n in range(count)])
    names = {text.get_text() for text in figure.axes[0].texts if text.get_text()}
    assert names == {f"run {n}  {n}.0" for n in range(5, count)}
    assert f"{MOST_CURVES} best of {count}" in figure._suptitle.get_text()
