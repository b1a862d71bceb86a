"""Fonts of pictures: installed fonts are found by their characters, missing ones are named."""

from pathlib import Path

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib import font_manager
from matplotlib.backends.backend_agg import FigureCanvasAgg

from nmt.reporting.heatmaps import fonts
from nmt.reporting.heatmaps.heatmap import Heatmap
from nmt.reporting.heatmaps.rendering import heatmap_image, save_heatmap
from nmt.reporting.heatmaps.scripts import missing_glyphs_warning, script_of
from nmt.reporting.heatmaps.single_figure import draw_heatmap
from nmt.reporting.picture_log import PictureLog

HAN, KANA, HINDI = "二京", "ラー", "हम"


def make_font(folder: Path, name: str, characters: str, outlined: bool = True) -> Path:
    """Write a font whose glyphs are squares, or have no outline as those of a color font."""
    glyphs = [".notdef", *(f"u{ord(character):04X}" for character in characters)]
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    for point in ((0, 700), (700, 700), (700, 0)):
        pen.lineTo(point)
    pen.closePath()
    square, empty = pen.glyph(), TTGlyphPen(None).glyph()
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(glyphs)
    builder.setupCharacterMap({ord(c): f"u{ord(c):04X}" for c in characters})
    builder.setupGlyf(dict.fromkeys(glyphs, square if outlined else empty))
    builder.setupHorizontalMetrics(dict.fromkeys(glyphs, (1000, 0)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": name, "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    path = folder / f"{name}.ttf"
    builder.save(path)
    return path


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Return a function that installs fonts on a system that has DejaVu Sans alone.

    matplotlib's stored list of fonts does not have them, as on a system where a user has just
    installed a font.
    """
    installed: list[str] = []
    manager = font_manager.fontManager
    first = [entry for entry in manager.ttflist if entry.name == fonts.FIRST_FAMILY]
    monkeypatch.setattr(manager, "ttflist", first)
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda *_, **__: installed)
    caches = (fonts._families, fonts._list_new_fonts, fonts._face)
    for cached in caches:
        cached.cache_clear()
    yield lambda *args, **kwargs: installed.append(str(make_font(tmp_path, *args, **kwargs)))
    for cached in caches:
        cached.cache_clear()
    manager._findfont_cached.cache_clear()


def test_latin_needs_no_other_font(install):
    install("Han", HAN)
    assert fonts.fonts_for(["Über", "weiße", "$x_1$"]) == fonts.PictureFonts(("DejaVu Sans",))


def test_a_font_installed_since_matplotlib_listed_them_is_found(install):
    install("Test Han", HAN)
    found = fonts.fonts_for([f"▁{HAN}"])
    assert found == fonts.PictureFonts(("DejaVu Sans", "Test Han"))
    assert found.width("二", 10) == pytest.approx(10 / 72, rel=0.01)  # an em, as the font has it


def test_the_characters_of_an_installed_font_are_drawn_from_it(install):
    heatmap = Heatmap(np.zeros((1, 1)), ["二"], ["x"])
    boxed = heatmap_image(heatmap)
    for cached in (fonts._families, fonts._list_new_fonts):
        cached.cache_clear()
    install("Test Han", HAN)
    drawn = heatmap_image(heatmap)
    # A filled square of 9.5 points at 100 dots per inch is about 9 pixels wide; a box has edges.
    assert (drawn < 100).all(-1).sum() > (boxed < 100).all(-1).sum() + 40


def test_the_font_with_most_characters_of_a_script_is_chosen(install):
    install("A Part", "ह")
    install("Whole", HINDI)
    assert fonts.fonts_for([HINDI]).families == ("DejaVu Sans", "Whole")


def test_several_fonts_together_cover_a_picture(install):
    install("Test Han", HAN)
    install("Test Hindi", HINDI)
    found = fonts.fonts_for([HAN, HINDI, "🎉"])
    assert set(found.families) == {"DejaVu Sans", "Test Han", "Test Hindi"}
    assert found.missing == {"🎉"}


def test_chinese_characters_have_their_japanese_form_beside_kana(install):
    for name in ("Noto Sans CJK SC", "Noto Sans CJK JP"):
        install(name, HAN + KANA)
    assert fonts.fonts_for([HAN]).families[1:] == ("Noto Sans CJK SC",)
    assert fonts.fonts_for([HAN, KANA]).families[1:] == ("Noto Sans CJK JP",)


def test_a_font_without_outlines_has_no_characters(install):
    install("Color Emoji", "🎉", outlined=False)
    assert fonts.fonts_for(["🎉"]) == fonts.PictureFonts(("DejaVu Sans",), frozenset("🎉"))


def test_joiners_and_selectors_are_not_missing(install):
    assert not fonts.fonts_for(["a\u200d\u200c\ufe0f\u2060\u00ad\U000e0067b"]).missing


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_saving_returns_what_no_font_has(install, tmp_path: Path, suffix):
    heatmap = Heatmap(np.zeros((1, 2)), ["▁二", "</s>"], ["ok"], "हम")
    missing = save_heatmap(heatmap, tmp_path / "pictures" / f"map{suffix}")
    assert missing == {"二", *"हम"}


@pytest.mark.parametrize(
    ("characters", "names"),
    [
        ("二", ["Chinese (二)", "fonts-noto-cjk", "google-noto-sans-cjk-fonts"]),
        ("ラ", ["kana (ラ)", "fonts-noto-cjk"]),
        ("녕", ["Hangul (녕)", "fonts-noto-cjk"]),
        ("हम", ["Devanagari (म ह)", "fonts-noto-core", "google-noto-sans-devanagari-fonts"]),
        ("ไ", ["Thai (ไ)", "fonts-noto-core", "google-noto-sans-thai-fonts"]),
        ("🎉🇩", ["emoji and symbols (🇩 🎉)", "fonts-symbola", "colored"]),
        ("二ह", ["Chinese (二) and Devanagari (ह)", "apt install fonts-noto-cjk fonts-noto-core "]),
    ],
)
def test_the_warning_names_script_package_and_page(characters, names):
    warning = missing_glyphs_warning(characters)
    for name in [*names, "--output map.html"]:
        assert name in warning
    assert "\n" not in warning


def test_no_font_is_advised_for_characters_that_none_has():
    assert missing_glyphs_warning("\ue000") == (
        "pictures show private or unassigned characters (U+E000) as boxes"
    )
    assert missing_glyphs_warning("") is None


def test_full_width_letters_and_punctuation_belong_to_chinese():
    assert {script_of(character) for character in "。，Ａ〇二㆐"} == {"Chinese"}


def test_a_run_warns_once_for_each_script(install, tmp_path: Path):
    said: list[str] = []
    log = PictureLog(tmp_path, said.append)
    for source in ("二", "京", "हम", "ok"):
        log.heatmap(1, "attention/sample-1", Heatmap(np.zeros((1, 1)), [source], ["x"]))
    assert len(said) == 2
    assert "Chinese" in said[0]
    assert "Devanagari" in said[1]


@pytest.mark.parametrize("token", ["▁weiß", "▁שלום", "▁نحن"])
def test_the_mark_stands_where_the_word_begins(token):
    figure = draw_heatmap(Heatmap(np.zeros((1, 1)), ["a"], [token]))
    renderer = FigureCanvasAgg(figure).get_renderer()
    boxes = {t.get_text(): t.get_window_extent(renderer) for t in figure.axes[0].texts}
    mark, word = boxes["▁"], boxes[token[1:]]
    if token == "▁weiß":
        assert mark.x1 <= word.x0 + 1
    else:
        assert mark.x0 >= word.x1 - 1
    assert max(mark.x1, word.x1) < figure.axes[0].bbox.x0
