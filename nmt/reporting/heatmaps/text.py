"""Text on heatmaps: which font draws it, how wide it is, where a title breaks. Widths in inches."""

from __future__ import annotations

import textwrap
import unicodedata
from functools import cache

from matplotlib import font_manager
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

POINTS_PER_INCH = 72
TITLE_POINTS = 10.5
MAXIMUM_LABEL = 24  # characters
MAXIMUM_TITLE_LINES = 8

# Used where installed, for scripts that DejaVu Sans (which matplotlib brings) does not cover.
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
    """Inches from one title line to the next."""
    return 1.35 * TITLE_POINTS / POINTS_PER_INCH


def wrap_title(title: str, width: float) -> tuple[str, ...]:
    """Break a title into at most eight lines of about `width` inches."""
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
    """A token as a label of bounded length that every font can be asked to draw."""
    text = _clean(token)
    return text if len(text) <= MAXIMUM_LABEL else text[: MAXIMUM_LABEL - 1] + "…"


def text_width(text: str, points: float, bold: bool = False) -> float:
    """Inches that `text` takes when drawn with `text_font(points, bold)`."""
    font = text_font(points, bold)
    width, _, _ = text_to_path.get_text_width_height_descent(text, font, ismath=False)
    return float(width) / POINTS_PER_INCH


@cache
def text_font(points: float, bold: bool = False) -> FontProperties:
    """DejaVu Sans, and after it whatever is installed for scripts that it lacks."""
    installed = set(font_manager.fontManager.get_font_names())
    family = ["DejaVu Sans", *(name for name in FALLBACK_FONTS if name in installed)]
    return FontProperties(family=family, size=points, weight="bold" if bold else "normal")


def _clean(text: str) -> str:
    """Replace control characters, line breaks and lone surrogates, which no font can draw."""
    unprintable = {"Cc", "Cs", "Zl", "Zp"}
    return "".join("\ufffd" if unicodedata.category(c) in unprintable else c for c in text)
