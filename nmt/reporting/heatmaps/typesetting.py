"""Text in pictures: its font, its width, and where a title breaks. Widths are in inches."""

from __future__ import annotations

import textwrap
import unicodedata
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from matplotlib import font_manager
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

POINTS_PER_INCH = 72
TITLE_POINTS = 10.5
MAXIMUM_LABEL = 24  # characters
MAXIMUM_TITLE_LINES = 8

# matplotlib ships DejaVu Sans. These fonts, where installed, cover scripts that it lacks.
FALLBACK_FONTS = (
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Noto Sans SC",
    "Noto Sans Arabic",
    "Noto Sans Devanagari",
    "WenQuanYi Zen Hei",
    "PingFang SC",
    "Hiragino Sans",
    "Microsoft YaHei",
    "Arial Unicode MS",
)


def title_line_height() -> float:
    """Return the distance from one title line to the next, in inches."""
    return 1.35 * TITLE_POINTS / POINTS_PER_INCH


def wrap_title(title: str, width: float) -> tuple[str, ...]:
    """Break a title into lines of about `width` inches, at most eight."""
    lines: list[str] = []
    for paragraph in title.splitlines():
        text = _clean(paragraph)
        whole = text_width(text, TITLE_POINTS, bold=True)
        characters = len(text) if whole <= width else int(0.9 * len(text) * width / whole)
        lines += textwrap.wrap(text, max(characters, 1))
    if len(lines) > MAXIMUM_TITLE_LINES:
        lines = [*lines[: MAXIMUM_TITLE_LINES - 1], lines[MAXIMUM_TITLE_LINES - 1] + "…"]
    return tuple(lines)


def token_label(token: str) -> str:
    """Return a token as a label of at most 24 characters that any font can draw."""
    text = _clean(token)
    return text if len(text) <= MAXIMUM_LABEL else text[: MAXIMUM_LABEL - 1] + "…"


def text_width(text: str, points: float, bold: bool = False) -> float:
    """Return the width in inches of `text` drawn with `text_font(points, bold)`."""
    font = text_font(points, bold)
    width, _, _ = text_to_path.get_text_width_height_descent(text, font, ismath=False)
    return float(width) / POINTS_PER_INCH


@cache
def text_font(points: float, bold: bool = False) -> FontProperties:
    """Return DejaVu Sans with the installed fallback fonts for scripts that it lacks."""
    installed = set(font_manager.fontManager.get_font_names())
    family = ["DejaVu Sans", *(name for name in FALLBACK_FONTS if name in installed)]
    return FontProperties(family=family, size=points, weight="bold" if bold else "normal")


@contextmanager
def ignore_missing_glyphs() -> Iterator[None]:
    """Silence matplotlib's warnings about characters that no installed font covers.

    Such a character is drawn as a box, which shows the problem well enough.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph \d+|Matplotlib currently does not")
        yield


def _clean(text: str) -> str:
    """Replace control characters, line breaks and lone surrogates, which no font can draw."""
    unprintable = {"Cc", "Cs", "Zl", "Zp"}
    return "".join("\ufffd" if unicodedata.category(c) in unprintable else c for c in text)
