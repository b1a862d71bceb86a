"""The script of a character, and the font packages to install if no font has the character."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection

EAST_ASIAN = {"Chinese", "kana", "Hangul"}
SYMBOLS, NAMELESS = "emoji and symbols", "private or unassigned characters"

# Scripts by the first word of Unicode character names, where that is not the script's name.
_FIRST_WORDS = {
    "CJK": "Chinese", "KANGXI": "Chinese", "BOPOMOFO": "Chinese", "IDEOGRAPHIC": "Chinese",
    "HIRAGANA": "kana", "KATAKANA": "kana", "KATAKANA-HIRAGANA": "kana", "HANGUL": "Hangul",
    "MEETEI": "Meetei Mayek", "NKO": "N'Ko", "OL": "Ol Chiki",
}  # fmt: skip
_FULL_WIDTH = ("FULLWIDTH", "HALFWIDTH", "IDEOGRAPHIC", "PRESENTATION", "VERTICAL")
_LETTERS = ("L", "M", "N")

# Invisible characters that control how neighboring characters are drawn.
_VARIATION_SELECTORS = (range(0x180B, 0x1810), range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0))


def is_invisible(character: str) -> bool:
    """Return whether a character is a joiner, a selector or another mark that is never drawn."""
    if unicodedata.category(character) == "Cf" or character in "\u034f\u115f\u1160\u3164\uffa0":
        return True
    return any(ord(character) in selectors for selectors in _VARIATION_SELECTORS)


def script_of(character: str) -> str:
    """Return the script of a character by its name in Unicode, such as ``Devanagari``."""
    name = unicodedata.name(character, "")
    if not name:
        return NAMELESS
    first, *rest = name.split()
    if first in _FIRST_WORDS:
        return _FIRST_WORDS[first]
    if first in _FULL_WIDTH:
        return next((_FIRST_WORDS[word] for word in rest if word in _FIRST_WORDS), "Chinese")
    if unicodedata.category(character)[0] not in _LETTERS or first == "MATHEMATICAL":
        return SYMBOLS
    return first.capitalize()


def missing_glyphs_warning(missing: Collection[str]) -> str | None:
    """Return a warning about characters that a picture shows as boxes; None without any.

    It names the scripts, font packages for them, and the HTML page as another way.
    """
    by_script: dict[str, list[str]] = {}
    for character in sorted(missing):
        by_script.setdefault(script_of(character), []).append(character)
    unnamed = by_script.pop(NAMELESS, [])
    if not by_script:
        codes = " ".join(f"U+{ord(character):04X}" for character in unnamed[:3])
        return f"pictures show {NAMELESS} ({codes}) as boxes" if unnamed else None
    parts = [f"{script} ({_examples(some)})" for script, some in sorted(by_script.items())]
    debian = " ".join(sorted({_debian(script) for script in by_script}))
    fedora = " ".join(sorted({_fedora(script) for script in by_script}))
    scripts = " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))
    color = " (fonts of colored emoji cannot be drawn)" if SYMBOLS in by_script else ""
    return (
        f"no installed font has these characters, which pictures show as boxes: {scripts}. "
        f"Install fonts: apt install {debian} (Debian, Ubuntu), dnf install {fedora} (Fedora), "
        f"or put a font file into ~/.local/share/fonts{color}. Or write an HTML page, which has "
        "the browser's fonts: nmt attention ... --output map.html"
    )


def _examples(characters: list[str]) -> str:
    """Return up to three characters; a combining mark is shown on a dotted circle."""
    marks = {c: f"\u25cc{c}" for c in characters if unicodedata.category(c)[0] == "M"}
    return " ".join(marks.get(c, c) for c in characters[:3])


def _debian(script: str) -> str:
    if script in EAST_ASIAN:
        return "fonts-noto-cjk"
    return "fonts-symbola" if script == SYMBOLS else "fonts-noto-core"


def _fedora(script: str) -> str:
    if script in EAST_ASIAN:
        return "google-noto-sans-cjk-fonts"
    if script == SYMBOLS:
        return "google-noto-emoji-fonts"
    return f"google-noto-sans-{script.lower().replace(' ', '-').replace(chr(39), '')}-fonts"
