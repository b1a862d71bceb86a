"""Text in pictures: line breaks of titles, cut labels, and replacements of control characters."""

from __future__ import annotations

import logging
import textwrap
import unicodedata
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from nmt.reporting.heatmaps.fonts import POINTS_PER_INCH, PictureFonts

TITLE_POINTS = 10.5
MAXIMUM_LABEL = 24  # characters
MAXIMUM_TITLE_LINES = 8


def title_line_height() -> float:
    """Return the distance from one title line to the next, in inches."""
    return 1.35 * TITLE_POINTS / POINTS_PER_INCH


def wrap_title(title: str, width: float, fonts: PictureFonts) -> tuple[str, ...]:
    """Break a title into lines of about `width` inches, at most eight."""
    lines: list[str] = []
    for paragraph in title.splitlines():
        text = _clean(paragraph)
        whole = fonts.width(text, TITLE_POINTS, bold=True)
        characters = len(text) if whole <= width else int(0.9 * len(text) * width / whole)
        lines += textwrap.wrap(text, max(characters, 1))
    if len(lines) > MAXIMUM_TITLE_LINES:
        lines = [*lines[: MAXIMUM_TITLE_LINES - 1], lines[MAXIMUM_TITLE_LINES - 1] + "…"]
    return tuple(lines)


def token_label(token: str) -> str:
    """Return a token as a label of at most 24 characters that any font can draw."""
    text = _clean(token)
    return text if len(text) <= MAXIMUM_LABEL else text[: MAXIMUM_LABEL - 1] + "…"


def shown_texts(source: Sequence[str], target: Sequence[str], title: str) -> list[str]:
    """Return the texts that a picture shows, for the choice of fonts."""
    return [*map(token_label, source), *map(token_label, target), *map(_clean, title.splitlines())]


@contextmanager
def own_warnings_only() -> Iterator[None]:
    """Suppress matplotlib's messages about fonts and about characters that no font has.

    `nmt.reporting.heatmaps.scripts` writes the package's own warning about such characters.
    """
    logger = logging.getLogger("matplotlib.font_manager")
    before = logger.level
    logger.setLevel(logging.ERROR)  # else it warns that a fallback font has no bold face
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=r"Glyph \d+|Matplotlib currently does not")
            yield
    finally:
        logger.setLevel(before)


def _clean(text: str) -> str:
    """Replace control characters, line breaks and lone surrogates, which no font can draw."""
    unprintable = {"Cc", "Cs", "Zl", "Zp"}
    return "".join("\ufffd" if unicodedata.category(c) in unprintable else c for c in text)
