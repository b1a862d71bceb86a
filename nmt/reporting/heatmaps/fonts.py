"""The fonts of a picture: DejaVu Sans, and installed fonts for the characters that it lacks.

matplotlib ships DejaVu Sans, which has the Latin, Greek, Cyrillic, Arabic, Hebrew, Armenian and
Georgian scripts. A character that it lacks is looked up in the installed fonts, script by script.
matplotlib shapes text: it joins letters and places marks as each script requires.
"""

from __future__ import annotations

import contextlib
import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cache

from matplotlib import font_manager
from matplotlib.font_manager import FontEntry, FontProperties
from matplotlib.ft2font import FT2Font
from matplotlib.textpath import text_to_path

from nmt.reporting.heatmaps.scripts import is_invisible, script_of

POINTS_PER_INCH = 72
FIRST_FAMILY = "DejaVu Sans"

# Fonts that draw a box for every character, or letters of the wrong size; never used.
_UNUSABLE = ("Last Resort", "STIX", "cm", "Adobe Blank")
_POOR = ("Unifont", "Droid Sans Fallback", "FreeMono", "GNU")  # used if no other font has it
# Families by their form of Chinese characters, the preferred family first.
_CHINESE = ("CJK SC", "Sans SC", "PingFang SC", "YaHei", "WenQuanYi", "Han Sans CN")
_JAPANESE = ("CJK JP", "Sans JP", "Hiragino", "Yu Gothic", "Meiryo", "IPA", "Takao", "Han Sans JP")


@dataclass(frozen=True)
class PictureFonts:
    """The font families of one picture.

    Attributes:
        families: The families, in the order in which a character is looked up.
        missing: The characters that no installed font has; they are drawn as boxes.
    """

    families: tuple[str, ...]
    missing: frozenset[str] = frozenset()

    def sized(self, points: float, bold: bool = False) -> FontProperties:
        """Return the fonts at a size in points."""
        weight = "bold" if bold else "normal"
        return FontProperties(family=list(self.families), size=points, weight=weight)

    def width(self, text: str, points: float, bold: bool = False) -> float:
        """Return the width of a text in inches."""
        font = self.sized(points, bold)
        width, _, _ = text_to_path.get_text_width_height_descent(text, font, ismath=False)
        return float(width) / POINTS_PER_INCH


def fonts_for(texts: Iterable[str]) -> PictureFonts:
    """Return the installed fonts that have the characters of a picture's texts.

    Chinese characters are drawn in their Japanese form if the picture contains kana, and in their
    simplified Chinese form otherwise.
    """
    characters = {c for text in texts for c in text if not is_invisible(c)}
    lacking = {c for c in characters if not _has(_first_entry(), c)}
    by_script: dict[str, set[str]] = {}
    for character in lacking:
        by_script.setdefault(script_of(character), set()).add(character)
    regional = _JAPANESE + _CHINESE if "kana" in by_script else _CHINESE + _JAPANESE
    families, missing = [FIRST_FAMILY], set[str]()
    for script in sorted(by_script):
        found, without = _families(frozenset(by_script[script]), regional)
        families += [family for family in found if family not in families]
        missing |= without
    return PictureFonts(tuple(families), frozenset(missing))


@cache
def _families(
    characters: frozenset[str], regional: tuple[str, ...]
) -> tuple[tuple[str, ...], frozenset[str]]:
    """Return the fewest families for characters of one script, and the characters without a font.

    If a font is missing, fonts installed after matplotlib made its list are added to the list.
    """
    found, without = _choose(characters, regional)
    if without and _list_new_fonts():
        found, without = _choose(characters, regional)
    return tuple(found), frozenset(without)


def _choose(characters: Collection[str], regional: tuple[str, ...]) -> tuple[list[str], set[str]]:
    """Choose the font that has most of the characters, then one for the rest, and so on."""
    entries = sorted(_entries(), key=lambda entry: _rank(entry, regional))
    covered = [(entry.name, {c for c in characters if _has(entry, c)}) for entry in entries]
    families, without = list[str](), set(characters)
    while without:
        name, has = max(covered, key=lambda pair: len(pair[1] & without), default=("", set[str]()))
        if not has & without:
            break
        families.append(name)
        without -= has
    return families, without


def _rank(entry: FontEntry, regional: tuple[str, ...]) -> tuple[int, int, str]:
    """Return the sort key of a font: sans-serif fonts of the region first, poor fonts last."""
    poor = any(entry.name.startswith(name) for name in _POOR)
    region = next((n for n, part in enumerate(regional) if part in entry.name), len(regional))
    plain = 0 if entry.name.startswith("Noto Sans") and "UI" not in entry.name else 1
    plain += any(word in entry.name for word in ("Mono", "Serif", "Looped", "Display"))
    return (len(regional) + 1 if poor else region, plain, entry.name)


def _entries() -> list[FontEntry]:
    """Return one upright font of each installed family, of the weight closest to normal."""
    best: dict[str, FontEntry] = {}
    for entry in font_manager.fontManager.ttflist:
        usable = entry.style == "normal" and not entry.name.startswith(_UNUSABLE)
        if usable and (entry.name not in best or _boldness(entry) < _boldness(best[entry.name])):
            best[entry.name] = entry
    return list(best.values())


def _boldness(entry: FontEntry) -> float:
    return abs(entry.weight - 400) if isinstance(entry.weight, (int, float)) else 400


@cache
def _list_new_fonts() -> bool:
    """Add fonts that matplotlib's stored list lacks; return whether there are any."""
    manager = font_manager.fontManager
    listed = {entry.fname for entry in manager.ttflist}
    for path in font_manager.findSystemFonts():
        if path not in listed:
            # Raised on damaged, unreadable and bitmap fonts; the picture uses the other fonts.
            with contextlib.suppress(OSError, RuntimeError, ValueError):
                manager.addfont(path)
    return len({entry.fname for entry in manager.ttflist}) > len(listed)


@cache
def _first_entry() -> FontEntry:
    path = font_manager.findfont(FontProperties(family=FIRST_FAMILY))
    return FontEntry(fname=str(path), name=FIRST_FAMILY)


def _has(entry: FontEntry, character: str) -> bool:
    """Return whether a font has an outline of a character; color fonts may have none."""
    face = _face(entry.fname, getattr(entry, "index", 0))
    if face is None:
        return False
    glyph = face.get_char_index(ord(character))
    if not glyph or unicodedata.category(character) == "Zs":
        return bool(glyph)
    try:
        face.load_glyph(glyph)
    except RuntimeError:
        return False
    return len(face.get_path()[0]) > 0


@cache
def _face(path: str, index: int) -> FT2Font | None:
    try:
        return FT2Font(path, face_index=index)
    except (OSError, RuntimeError, ValueError):
        return None  # the file was removed after matplotlib listed it
