"""Heatmaps: shape errors, orientation, color scale, labels and files."""

import re
import subprocess
import sys
import warnings
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text

from nmt.reporting.heatmaps.colors import DARK_TO_WHITE, WHITE_TO_NAVY
from nmt.reporting.heatmaps.heatmap import Heatmap
from nmt.reporting.heatmaps.rendering import heatmap_image, save_heatmap
from nmt.reporting.heatmaps.single_figure import draw_heatmap

GERMAN = ["▁Männer", "▁weiß", "e", "▁Bü", "sche", "▁Öl", "</s>"]


def one_hot(row: int, column: int, shape: tuple[int, int]) -> Heatmap:
    weights = np.zeros(shape)
    weights[row, column] = 1
    source = [f"s{number}" for number in range(shape[1])]
    return Heatmap(weights, source, [f"t{number}" for number in range(shape[0])])


def pixel(heatmap: Heatmap, row: int, column: int) -> np.ndarray:
    """Return the color in the middle of a cell, located by the transform of the axes."""
    image = heatmap_image(heatmap)
    x, y = draw_heatmap(heatmap).axes[0].transData.transform((column, row))
    return image[image.shape[0] - 1 - int(y), int(x)]


def drawn(figure: Figure) -> dict[str, tuple[float, float]]:
    """Return the center of each text of the matrix in pixels, from the bottom left."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    boxes = {text.get_text(): text.get_window_extent(renderer) for text in figure.axes[0].texts}
    return {name: ((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2) for name, box in boxes.items()}


@pytest.mark.parametrize("shape", [(2, 3), (3,), (3, 2, 1), (0, 0)])
def test_weights_that_do_not_match_the_tokens_raise(shape):
    with pytest.raises(
        ValueError, match=re.escape(str(shape)) + ".*3 target.*2 source.*\\(3, 2\\)"
    ):
        Heatmap(np.zeros(shape), ["a", "b"], ["x", "y", "z"])


def test_rows_are_target_tokens_and_columns_source_tokens():
    heatmap = one_hot(1, 4, (3, 6))
    for row in range(3):
        for column in range(6):
            color = pixel(heatmap, row, column)
            if (row, column) == (1, 4):
                assert color.max() < 80, f"weight 1 should be dark, is {color}"
            else:
                assert color.min() == 255, f"weight 0 at {row, column} should be white, is {color}"


def test_labels_are_at_their_row_and_column():
    figure = draw_heatmap(one_hot(0, 0, (3, 6)))
    cells, places = figure.axes[0].transData, drawn(figure)
    (left, top), (right, bottom) = cells.transform([(-0.5, -0.5), (5.5, 2.5)])
    size = (right - left) / 6
    assert (top - bottom) / 3 == pytest.approx(size), "cells should be square"
    for column in range(6):
        x, y = places[f"s{column}"]
        assert y > top
        assert abs(x - cells.transform((column, 0))[0]) < 0.3 * size
    for row in range(3):
        x, y = places[f"t{row}"]
        assert x < left
        assert abs(y - cells.transform((0, row))[1]) < 0.2 * size


def test_the_scale_is_fixed_so_that_pictures_can_be_compared():
    faint = Heatmap(np.full((1, 1), 0.1), ["a"], ["b"])
    strong = Heatmap(np.array([[0.1, 0.9]]), ["a", "c"], ["b"])
    np.testing.assert_array_equal(pixel(faint, 0, 0), pixel(strong, 0, 0))


@pytest.mark.parametrize(("scale", "step"), [(WHITE_TO_NAVY, -8.6), (DARK_TO_WHITE, 8.9)])
def test_lightness_changes_evenly_with_weight(scale, step):
    linear = np.array([to_rgb(color) for color in scale])
    linear = np.where(linear <= 0.04045, linear / 12.92, ((linear + 0.055) / 1.055) ** 2.4)
    luminance = linear @ [0.2126, 0.7152, 0.0722]
    lightness = 116 * np.cbrt(luminance) - 16  # CIELAB, for luminances above 0.008
    np.testing.assert_allclose(np.diff(lightness), step, atol=0.4)


def test_numbers_outside_the_scale_are_clipped_and_nan_differs_from_zero():
    heatmap = Heatmap(np.array([[np.nan, -1.0, 7.0]]), ["a", "b", "c"], ["x"])
    red, green, _ = pixel(heatmap, 0, 0)
    assert int(red) > int(green) + 30
    assert pixel(heatmap, 0, 1).min() == 255
    assert pixel(heatmap, 0, 2).max() < 80


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_any_float_precision_is_drawn(dtype):
    assert pixel(Heatmap(np.ones((1, 1), dtype), ["a"], ["b"]), 0, 0).max() < 80


def test_german_has_all_its_glyphs():
    figure = draw_heatmap(Heatmap(np.eye(7), GERMAN, GERMAN, "Über weiße Füße"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # matplotlib warns about each missing glyph
        FigureCanvasAgg(figure).draw()


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_any_token_can_be_drawn_without_a_warning(tmp_path: Path, suffix):
    tokens = [
        "▁你好",
        "مرحبا",
        "😀",
        "$x_1$ $",
        "$a^$",
        "a\nb",
        "\x00\x0b",
        "\ud800",
        "",
        "▁",
        "-->&<",
        "\\",
    ]
    heatmap = Heatmap(np.eye(len(tokens)), tokens, tokens, "标题 $a^$ \x01 <&>\nsecond -- line")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        save_heatmap(heatmap, tmp_path / f"picture{suffix}")
        pixels = heatmap_image(heatmap)
    assert [file.name for file in tmp_path.iterdir()] == [f"picture{suffix}"]
    assert pixels.min() < pixels.max(), "the image is blank"
    if suffix == ".svg":
        ElementTree.parse(tmp_path / "picture.svg")


@pytest.mark.parametrize("lengths", [(0, 3), (1, 1), (2, 2), (13, 18), (1, 40), (80, 80), (300, 2)])
@pytest.mark.parametrize("title", ["", "Update 12,000, validation sentence 3, " + "x" * 120])
def test_everything_lies_inside_the_figure_at_every_size(lengths, title):
    target, source = lengths
    words = ["▁Donaudampfschifffahrt", "▁a", "und"]
    heatmap = Heatmap(
        np.zeros(lengths),
        [words[n % 3] for n in range(source)],
        [words[n % 3] for n in range(target)],
        title,
    )
    figure = draw_heatmap(heatmap)
    renderer = FigureCanvasAgg(figure).get_renderer()
    whole = figure.bbox.padded(1)
    for text in figure.findobj(Text):
        box = text.get_window_extent(renderer)
        if text.get_text():
            assert whole.x0 <= box.x0, text
            assert box.x1 <= whole.x1, text
            assert whole.y0 <= box.y0, text
            assert box.y1 <= whole.y1, text


def test_figures_grow_with_the_sentences_up_to_a_limit():
    def inches(tokens: int) -> float:
        labels = [f"▁{n}" for n in range(tokens)]
        heatmap = Heatmap(np.zeros((tokens, tokens)), labels, labels)
        return float(max(draw_heatmap(heatmap).get_size_inches()))

    sizes = [inches(tokens) for tokens in (2, 20, 80, 400)]
    assert sizes == sorted(sizes)
    assert sizes[0] < 3
    assert 14 < sizes[2] < 20
    assert sizes[3] < 40


def test_adjacent_labels_do_not_overlap():
    for tokens in (2, 12, 40, 80, 250, 500):
        labels = ["gÄ"] * tokens
        figure = draw_heatmap(Heatmap(np.zeros((tokens, tokens)), labels, labels))
        first, second = figure.axes[0].texts[:2]  # source labels come first
        apart = abs(second.xy[0] - first.xy[0]) * figure.axes[0].bbox.width / tokens
        across = apart * np.sin(np.radians(first.get_rotation())) / figure.dpi * 72
        assert across >= first.get_fontsize(), f"{tokens} tokens: {across} points apart"


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_saving_creates_the_folder_and_only_the_picture(tmp_path: Path, suffix):
    path = tmp_path / "new" / f"picture{suffix}"
    save_heatmap(one_hot(0, 0, (2, 2)), path)
    beginning = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}[suffix]
    assert path.read_bytes().startswith(beginning)
    assert list(path.parent.iterdir()) == [path]


def test_a_failed_save_keeps_the_previous_picture(tmp_path: Path, monkeypatch):
    path = tmp_path / "picture.png"
    path.write_bytes(b"old")

    def fail_halfway(self, target, **_):
        target.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(Figure, "savefig", fail_halfway)
    with pytest.raises(OSError, match="disk full"):
        save_heatmap(one_hot(0, 0, (2, 2)), path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["picture.jpg", "picture", "picture.png.bak"])
def test_an_unknown_format_raises_with_the_known_ones(tmp_path: Path, name):
    with pytest.raises(ValueError, match=r"\.pdf, \.png, \.svg"):
        save_heatmap(one_hot(0, 0, (2, 2)), tmp_path / name)


def test_images_are_rgb_bytes():
    image = heatmap_image(one_hot(0, 0, (2, 5)))
    assert image.dtype == np.uint8
    assert image.ndim == 3
    assert image.shape[2] == 3


def test_only_drawing_imports_matplotlib_and_only_tensorboard_imports_torch():
    names = ("heatmaps.heatmap", "heatmaps.rendering", "metric_log", "progress_line", "run_log")
    modules = ", ".join(f"nmt.reporting.{name}" for name in names)
    check = (
        f"import sys, {modules}; "
        "print(sorted({'torch', 'matplotlib', 'tensorboard'} & sys.modules.keys()))"
    )
    found = subprocess.run(
        [sys.executable, "-c", check],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
    )
    assert found.stdout.strip() == "[]"
