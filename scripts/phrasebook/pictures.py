"""Small drawn pictures of coloured shapes, and their features by a fixed random map.

A picture has four cells, each 8 x 8 pixels of red, green and blue: top left, top right, bottom left
and bottom right. A cell is empty, or has one shape of one colour. Each cell is one region.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

CELLS, SIDE, SIZE = 4, 8, 64
COLOURS = {
    "red": (0.85, 0.1, 0.1),
    "blue": (0.1, 0.2, 0.85),
    "green": (0.1, 0.65, 0.15),
    "black": (0.04, 0.04, 0.04),
    "white": (0.97, 0.97, 0.97),
    "brown": (0.45, 0.25, 0.08),
    "grey": (0.5, 0.5, 0.5),
}
SHAPES = ("square", "circle", "triangle", "cross")
_BACKGROUND, _NOISE = (0.8, 0.65, 0.8), 0.04  # a pale violet, which no shape has


def draw(contents: dict[int, tuple[str, str]], random: np.random.Generator) -> Floats:
    """Draw a picture, [4 cells, 8, 8, 3], values from 0 to 1.

    Args:
        contents: The shape and the colour of the cells that are not empty.
        random: Places each shape, and adds noise to each pixel.
    """
    cells = np.empty((CELLS, SIDE, SIDE, 3), dtype=np.float32)
    cells[:] = _BACKGROUND
    for cell, (shape, colour) in contents.items():
        cells[cell][_mask(shape, random)] = COLOURS[colour]
    noise = random.normal(0.0, _NOISE, cells.shape)
    return np.clip(cells + noise, 0, 1).astype(np.float32)


def _mask(shape: str, random: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Return which pixels of a cell a shape covers; it is up to one pixel off the centre."""
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    y, x = y - random.integers(-1, 2) / 2, x - random.integers(-1, 2) / 2
    covered = {
        "square": np.maximum(abs(x), abs(y)) < 2.6,
        "circle": x**2 + y**2 < 8.5,
        "triangle": (abs(x) < (y + 3.5) / 2) & (abs(y) < 3.2),
        "cross": (np.minimum(abs(x), abs(y)) < 1.1) & (np.maximum(abs(x), abs(y)) < 3.2),
    }
    return covered[shape]


def assembled(pictures: Floats) -> Floats:
    """Return pictures [N, 4, 8, 8, 3] with their cells in place, [N, 16, 16, 3]."""
    rows = pictures.reshape(-1, 2, 2, SIDE, SIDE, 3).transpose(0, 1, 3, 2, 4, 5)
    return rows.reshape(-1, 2 * SIDE, 2 * SIDE, 3)


def features(pictures: Floats) -> Floats:
    """Map pictures [N, 4, 8, 8, 3] to features [N, 4, 64], the same map in every call.

    A region has 24 means of random 3 x 3 filters over the cell, after tanh; 38 random projections
    of how far each pixel is from the background; and the column and the row of the cell.
    """
    random = np.random.default_rng(7)
    filters = random.normal(0, 1.2, (3 * 3 * 3, 24)).astype(np.float32)
    projection = random.normal(0, 0.2, (SIDE * SIDE, SIZE - 26)).astype(np.float32)
    centred = pictures - np.float32(0.5)
    windows = np.lib.stride_tricks.sliding_window_view(centred, (3, 3), axis=(2, 3))
    windows = windows.reshape(*windows.shape[:4], -1)
    means = np.tanh(windows @ filters).mean(axis=(2, 3))
    distance = abs(pictures - np.array(_BACKGROUND, dtype=np.float32)).mean(axis=-1)
    shapes = np.tanh(8 * distance).reshape(*distance.shape[:2], -1) @ projection
    places = np.broadcast_to([[0, 0], [1, 0], [0, 1], [1, 1]], (len(pictures), CELLS, 2))
    return np.concatenate([means, shapes, places], axis=-1).astype(np.float32)
