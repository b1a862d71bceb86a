"""The weights of a kind of self-attention as an SVG picture, within a page or as a file."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

CELL = 14
"""Side of the square of one weight, in units of the picture."""

_MARGIN, _SHADES, _LETTER = 4, 12, 6.4
_FAINTEST = 0.13  # opacity of the smallest weight above 0: the mask stays visible

_FILE_STYLE = (
    "<style>text{font:11px 'DejaVu Sans',Verdana,sans-serif;fill:#1f2933}"
    ".paper{fill:#fff}.cell{fill:#27609b}.empty{fill:#edf0f3}</style>"
)


def kind_svg(
    words: Sequence[str], weights: npt.NDArray[Any], title: str, *, in_page: bool = False
) -> str:
    """Return a picture: rows are queries, columns keys; a stronger color is a greater weight.

    Even the smallest weight above 0 differs from a weight of 0, so that the mask is visible.

    Args:
        words: T words.
        weights: [T, T], at least 0.
        title: A description of the picture, for screen readers.
        in_page: Whether the page defines the style; otherwise the picture contains its style.
    """
    labels = round(max(map(len, words)) * _LETTER) + 2 * _MARGIN
    size = labels + len(words) * CELL + _MARGIN
    style = "" if in_page else _FILE_STYLE
    sides = "" if in_page else f' width="{size}" height="{size}"'
    paper = "" if in_page else f'<rect class="paper" width="{size}" height="{size}"/>'
    grid = "".join((*_labels(words, labels), *_cells(weights, labels)))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size} {size}"{sides} role="img">'
        f"<title>{html.escape(title)}</title>{style}{paper}{grid}</svg>"
    )


def _labels(words: Sequence[str], origin: int) -> Iterator[str]:
    for number, word in enumerate(words):
        middle = origin + number * CELL + CELL - 3.5
        text = html.escape(word)
        yield f'<text x="{origin - _MARGIN}" y="{middle}" text-anchor="end">{text}</text>'
        yield (
            f'<text transform="translate({middle} {origin - _MARGIN}) rotate(-90)">{text}</text>'
        )


def _cells(weights: npt.NDArray[Any], origin: int) -> Iterator[str]:
    """Yield one path for all cells of a shade, the palest shade first."""
    shades = np.ceil(weights / weights.max() * _SHADES).astype(int)  # 0: not attended to
    for shade in np.unique(shades):
        path = "".join(
            f"M{origin + column * CELL} {origin + row * CELL}h{CELL - 1}v{CELL - 1}h-{CELL - 1}z"
            for row, column in zip(*np.nonzero(shades == shade), strict=True)
        )
        if shade == 0:
            yield f'<path class="empty" d="{path}"/>'
            continue
        opacity = _FAINTEST + (1 - _FAINTEST) * (shade - 1) / (_SHADES - 1)
        yield f'<path class="cell" fill-opacity="{opacity:.2f}" d="{path}"/>'
