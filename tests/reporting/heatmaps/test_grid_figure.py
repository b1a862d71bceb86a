"""The grid of heatmaps: panel positions, text inside the figure, one color scale."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from nmt.reporting.heatmaps.grid_figure import draw_heatmap_grid
from nmt.reporting.heatmaps.rendering import save_heatmap_grid


def pixels(figure) -> np.ndarray:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.array(canvas.buffer_rgba())[:, :, :3]


def panels(figure) -> list:
    """Return the images in reading order, layer by layer."""
    return sorted(
        figure.axes[0].images, key=lambda image: (image.get_extent()[3], image.get_extent()[0])
    )


def cell_colors(figure) -> np.ndarray:
    """Return the color in the middle of each cell, [panels, T, S, 3]."""
    image, axes = pixels(figure), figure.axes[0]
    found = []
    for panel in panels(figure):
        left, right, bottom, top = panel.get_extent()
        rows, columns = panel.get_array().shape
        x = left + (np.arange(columns) + 0.5) * (right - left) / columns
        y = top + (np.arange(rows) + 0.5) * (bottom - top) / rows
        places = axes.transData.transform([(across, down) for down in y for across in x])
        colors = [image[image.shape[0] - 1 - int(v), int(u)] for u, v in places]
        found.append(np.array(colors).reshape(rows, columns, 3))
    return np.array(found)


def test_every_layer_and_head_is_drawn_in_its_panel(make_record):
    record = make_record(3, 2, 6, 5)
    record.weights[:] = 0
    for layer in range(3):
        for head in range(2):
            record.weights[layer, head, layer + head, layer + 2 * head] = 1
    dark = cell_colors(draw_heatmap_grid(record)).max(-1) < 80
    np.testing.assert_array_equal(dark, record.weights.reshape(6, 5, 6) == 1)


def test_all_panels_have_one_fixed_color_scale(make_record):
    record = make_record(1, 2, ["a"], ["x"])
    record.weights[:] = [[[[0.1]], [[0.9]]]]
    alone = make_record(1, 1, ["a"], ["x"])
    alone.weights[:] = 0.1
    colors = cell_colors(draw_heatmap_grid(record))
    np.testing.assert_array_equal(colors[0], cell_colors(draw_heatmap_grid(alone))[0])
    assert colors[1].sum() < colors[0].sum()
    assert len(draw_heatmap_grid(record).axes) == 2, (
        "there should be one color bar beside the panels"
    )


def test_nan_differs_from_zero(make_record):
    record = make_record(1, 1, ["a", "b"], ["x"])
    record.weights[:] = [np.nan, 0]
    (((unknown, zero),),) = cell_colors(draw_heatmap_grid(record))
    assert int(unknown[0]) > int(unknown[1]) + 30
    assert zero.min() == 255


def test_layers_heads_and_tokens_are_labeled_beside_their_panels(make_record):
    figure = draw_heatmap_grid(make_record(2, 3, ["left", "right"], ["up", "down"]))
    axes, renderer = figure.axes[0], FigureCanvasAgg(figure).get_renderer()

    def places(name: str) -> list[np.ndarray]:
        boxes = [t.get_window_extent(renderer) for t in axes.texts if t.get_text() == name]
        middles = [((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2) for box in boxes]
        return list(axes.transData.inverted().transform(middles))

    extents = [panel.get_extent() for panel in panels(figure)]
    for head in range(3):
        left, right, _, top = extents[head]
        ((x, y),) = places(f"head {head + 1}")
        assert x == pytest.approx((left + right) / 2, abs=0.02)
        assert y < top
        assert left < places("left")[head][0] < places("right")[head][0]
        assert places("left")[head][1] < top
    for layer in range(2):
        left, _, bottom, top = extents[3 * layer]
        ((x, y),) = places(f"layer {layer + 1}")
        assert y == pytest.approx((bottom + top) / 2, abs=0.02)
        assert x < places("up")[layer][0] < left
        assert top < places("up")[layer][1] < places("down")[layer][1] < bottom


def test_a_single_panel_has_no_layer_and_head_labels(make_record):
    texts = [text.get_text() for text in draw_heatmap_grid(make_record()).axes[0].texts]
    assert texts == ["s0", "s1", "s2", "s3", "t0", "t1", "t2"]


@pytest.mark.parametrize("sizes", [(1, 1, 1, 1), (3, 4, 1, 1), (2, 1, 2, 30), (1, 2, 0, 3)])
@pytest.mark.parametrize("title", ["", "Layers and heads " + "x" * 200])
def test_everything_lies_inside_the_figure(make_record, sizes, title):
    assert_inside(make_record, *sizes, title)


@pytest.mark.parametrize("sizes", [(6, 8, 40, 45), (1, 3, 100, 2)])
def test_everything_lies_inside_a_large_figure(make_record, sizes):
    assert_inside(make_record, *sizes, "Layers and heads")


def assert_inside(make_record, layers, heads, source, target, title) -> None:
    words = ["▁Donaudampfschifffahrtsgesellschaft", "▁a", "und"]
    tokens = [[words[n % 3] for n in range(size)] for size in (source, target)]
    figure = draw_heatmap_grid(make_record(layers, heads, *tokens, title=title))
    renderer = FigureCanvasAgg(figure).get_renderer()
    whole = figure.bbox.padded(1)
    for text in figure.findobj(Text):
        if text.get_text():
            box = text.get_window_extent(renderer)
            assert whole.x0 <= box.x0 <= box.x1 <= whole.x1, text
            assert whole.y0 <= box.y0 <= box.y1 <= whole.y1, text
    assert max(figure.get_size_inches()) < 40


def test_labels_of_adjacent_heads_do_not_overlap(make_record):
    figure = draw_heatmap_grid(make_record(1, 16, 1, 1))
    renderer = FigureCanvasAgg(figure).get_renderer()
    names = [text for text in figure.axes[0].texts if text.get_text().startswith("head")]
    boxes = [name.get_window_extent(renderer) for name in names]
    assert len(boxes) == 16
    assert all(left.x1 < right.x0 for left, right in zip(boxes, boxes[1:], strict=False))


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_saving_creates_the_folder_and_only_the_picture(tmp_path, make_record, suffix):
    path = tmp_path / "new" / f"grid{suffix}"
    awkward = ["$x_1$ $", "\ud800", "\x00", "你好", "-->&<"]
    save_heatmap_grid(make_record(2, 2, awkward, awkward, title="$a^$ \ud800"), path)
    beginning = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}[suffix]
    assert path.read_bytes().startswith(beginning)
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("name", ["grid.jpg", "grid"])
def test_an_unknown_format_raises_with_the_known_ones(tmp_path, make_record, name):
    with pytest.raises(ValueError, match=r"\.pdf, \.png, \.svg"):
        save_heatmap_grid(make_record(), tmp_path / name)
    assert not list(tmp_path.iterdir())
