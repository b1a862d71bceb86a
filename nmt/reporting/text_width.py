"""The width of text on a terminal, where Chinese, Japanese and Korean letters take two columns."""

import unicodedata

_CUT = "..."


def text_width(text: str) -> int:
    """Return the number of columns of a text without control characters."""
    if text.isascii():
        return len(text)
    return sum(map(_letter_width, text))


def cut(text: str, width: int) -> str:
    """Return the beginning of a text that fits in `width` columns."""
    width = max(0, width)
    while text_width(text) > width:
        text = text[: max(0, min(len(text) - 1, width))]
    return text


def cut_start(text: str, width: int) -> str:
    """Return a text that fits in `width` columns; "..." replaces the beginning of a longer one."""
    if text_width(text) <= width:
        return text
    kept = cut(text[::-1], width - len(_CUT))[::-1]
    return cut(_CUT, width) + kept


def _letter_width(letter: str) -> int:
    if unicodedata.category(letter) in ("Mn", "Me", "Cf"):  # accents and joiners
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1
