"""Weights on a picture: a region is as clear as its share of the largest weight."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from nmt.reporting.heatmaps.heatmap import Heatmap
from nmt.reporting.heatmaps.picture_figure import draw_weights_on_picture

WEIGHTS = np.array([[0.6, 0.3, 0.1, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0, 0.0, 1.0]])
GRID = (2, 3)


def _figure(weights: np.ndarray = WEIGHTS) -> Figure:
    tokens = [f"word {number}" for number in range(len(weights))]
    regions = [f"region {number}" for number in range(weights.shape[1])]
    black = np.zeros((20, 30, 3), dtype=np.float32)
    return draw_weights_on_picture(Heatmap(weights, regions, tokens, "title"), black, GRID)


def _pixels(figure: Figure) -> np.ndarray:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].astype(float)


def test_a_region_is_clearer_the_more_weight_it_has() -> None:
    """On a black picture, the veil makes a pixel 0.88 (1 - w / max w) white."""
    figure = _figure()
    pixels = _pixels(figure)
    height = len(pixels)
    for axes, weights in zip(figure.axes, WEIGHTS, strict=True):
        for region, weight in enumerate(weights):
            row, column = divmod(region, GRID[1])
            x, y = axes.transData.transform((column + 0.2, row + 0.3))
            found = pixels[height - 1 - round(y), round(x)]
            assert found == pytest.approx(255 * 0.88 * (1 - weight / weights.max()), abs=2)


@pytest.mark.parametrize("count", [0, 1, 6, 7, 40])
def test_every_token_has_its_panel(count: int) -> None:
    figure = _figure(np.full((count, 6), 1 / 6))
    assert len(figure.axes) == count
    boxes = [axes.get_position() for axes in figure.axes]
    for number, box in enumerate(boxes):
        assert 0 <= box.x0 < box.x1 <= 1
        assert 0 <= box.y0 < box.y1 <= 1
        assert not any(box.overlaps(other) for other in boxes[:number])


def test_a_token_without_weight_is_veiled() -> None:
    assert np.isfinite(_pixels(_figure(np.zeros((1, 6))))).all()
