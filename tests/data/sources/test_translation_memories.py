"""TMX and XLIFF: languages by their tags, text without markup, no downloads or expansion."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nmt.config.data import SourceConfig
from nmt.data.sources.open_source import open_source
from nmt.errors import UserError

ReadFile = Callable[..., Any]


def _tmx(*units: str, head: str = "") -> str:
    body = "\n".join(f"<tu>{unit}</tu>" for unit in units)
    return f'<?xml version="1.0"?>\n{head}<tmx version="1.4"><header/><body>\n{body}\n</body></tmx>'


def _tuv(language: str, text: str, attribute: str = "xml:lang") -> str:
    return f'<tuv {attribute}="{language}"><seg>{text}</seg></tuv>'


def _xliff1(*units: str, languages: str = 'source-language="en" target-language="de"') -> str:
    body = "\n".join(f'<trans-unit id="{n}">{unit}</trans-unit>' for n, unit in enumerate(units))
    return (
        '<?xml version="1.0"?>\n<xliff version="1.2" xmlns="urn:oasis:names:tc:xliff:document:1.2">'
        f'<file original="x" datatype="plaintext" {languages}>'
        f"<body>\n{body}\n</body></file></xliff>"
    )


def _xliff2(*segments: str, languages: str = 'srcLang="en-US" trgLang="de"') -> str:
    units = "".join(f'<unit id="{n}">{segment}</unit>' for n, segment in enumerate(segments))
    return (
        '<?xml version="1.0"?>\n<xliff version="2.0" xmlns="urn:oasis:names:tc:xliff:document:2.0" '
        f'{languages}><file id="f">{units}</file></xliff>'
    )


@pytest.mark.parametrize("marks", [("en", "de"), ("EN-us", "de_AT"), ("de", "en")])
@pytest.mark.parametrize("attribute", ["xml:lang", "lang"])
def test_sides_of_tmx_are_found_by_language(
    read_file: ReadFile, marks: tuple[str, str], attribute: str
) -> None:
    texts = {"en": "a dog", "de": "ein Hund"}
    first, second = (_tuv(mark, texts[mark[:2].lower()], attribute) for mark in marks)
    reading = read_file("memory.tmx", _tmx(first + second))
    assert reading.pairs == [("a dog", "ein Hund")]
    assert not reading.faults


def test_the_same_region_wins_over_another(read_file: ReadFile) -> None:
    unit = _tuv("en-GB", "colour") + _tuv("en", "color") + _tuv("de", "Farbe")
    assert read_file("memory.tmx", _tmx(unit)).pairs == [("color", "Farbe")]


def test_units_without_both_languages_are_skipped(read_file: ReadFile) -> None:
    units = [_tuv("en", "a") + _tuv("fr", "b"), _tuv("en", "c"), _tuv("en", "d") + _tuv("de", "D")]
    reading = read_file("memory.tmx", _tmx(*units))
    assert reading.pairs == [("d", "D")]
    assert reading.lines == [5]
    assert not reading.faults
    reading = read_file("memory.tmx", _tmx(*units[:2]))
    assert reading.rules == ["other_languages"]
    assert "is in en | fr, not in en and de" in reading.faults[0].message


def test_inline_tags_are_removed_and_their_text_is_kept(read_file: ReadFile) -> None:
    source = 'Press <bpt i="1">[</bpt>OK<ept i="1">]</ept> &amp; <hi>wait</hi><ph x="1"/>.'
    unit = _tuv("en", source) + _tuv("de", "&lt;OK&gt;<!-- nothing --> &#228;")
    assert read_file("memory.tmx", _tmx(unit)).pairs == [("Press [OK] & wait.", "<OK> ä")]
    inline = '<source>Press <g id="1">OK</g><x id="2"/>.</source><target>Drück OK.</target>'
    assert read_file("memory.xlf", _xliff1(inline)).pairs == [("Press OK.", "Drück OK.")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1"])
def test_xml_may_be_in_the_encoding_it_states(read_file: ReadFile, encoding: str) -> None:
    text = _tmx(_tuv("en", "a bear") + _tuv("de", "ein Bär"))
    text = text.replace('version="1.0"', f'version="1.0" encoding="{encoding}"', 1)
    assert read_file("memory.tmx", text.encode(encoding)).pairs == [("a bear", "ein Bär")]


def test_units_of_xliff_need_a_finished_translation(read_file: ReadFile) -> None:
    units = [
        "<source>a</source><target>A</target>",
        "<source>b</source>",
        "<source>c</source><target/>",
        '<source>d</source><target state="needs-translation">d</target>',
        '<source>e</source><target state="final">E</target>'
        "<alt-trans><source>x</source><target>X</target></alt-trans>",
    ]
    assert read_file("memory.xliff", _xliff1(*units)).pairs == [("a", "A"), ("e", "E")]
    segments = [
        "<segment><source>a</source><target>A</target></segment>"
        '<segment state="final"><source>b</source><target>B</target></segment>',
        '<segment state="initial"><source>c</source><target>C</target></segment>',
        "<segment><source>d</source></segment>",
    ]
    assert read_file("memory.xlf", _xliff2(*segments)).pairs == [("a", "A"), ("b", "B")]


@pytest.mark.parametrize("version", [1, 2])
def test_xliff_is_read_in_either_direction_of_its_languages_only(
    read_file: ReadFile, version: int
) -> None:
    def read(source: str, target: str) -> Any:
        pair = "<source>a</source><target>b</target>"
        if version == 1:
            languages = f'source-language="{source}" target-language="{target}"'
            return read_file("memory.xlf", _xliff1(pair, languages=languages))
        languages = f'srcLang="{source}" trgLang="{target}"'
        return read_file("memory.xlf", _xliff2(f"<segment>{pair}</segment>", languages=languages))

    assert read("en-GB", "DE").pairs == [("a", "b")]
    assert read("de", "en").pairs == [("b", "a")]
    reading = read("en", "fr")
    assert reading.pairs == []
    assert reading.rules == ["other_languages"]
    assert "is in en | fr, not in en and de" in reading.faults[0].message


@pytest.mark.parametrize("name", ["memory.tmx", "memory.xlf"])
@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("plain text\n", 1),
        ('<?xml version="1.0"?>\n<tmx>\n<body>\n<tu></body>\n</tmx>', 4),
        ("<html/>", None),
    ],
)
def test_malformed_xml_is_reported_with_its_line(
    read_file: ReadFile, name: str, content: str, line: int | None
) -> None:
    if name.endswith("xlf"):
        content = content.replace("tmx>", "xliff>")
    reading = read_file(name, content)
    assert reading.pairs == []
    assert [(f.rule, f.line) for f in reading.faults] == [("malformed", line)]
    assert (
        f"is not a {'TMX' if name.endswith('tmx') else 'XLIFF'} file" in reading.faults[0].message
    )


@pytest.mark.parametrize("name", ["memory.tmx", "memory.xlf", "memory.po"])
@pytest.mark.parametrize("content", ["", "\n"])
def test_an_empty_file_has_no_text(read_file: ReadFile, name: str, content: str) -> None:
    assert read_file(name, content).rules == ["no_text"]


BOMB = "".join(f'<!ENTITY x{n} "{f"&x{n - 1};" * 10}">' for n in range(1, 30))


@pytest.mark.parametrize("wrap", ["tmx", "xliff"])
@pytest.mark.parametrize(
    ("entities", "reference"),
    [
        ('<!ENTITY x SYSTEM "file://{secret}">', "&x;"),
        ('<!ENTITY x SYSTEM "http://localhost:9/x">', "&x;"),
        ('<!ENTITY % x SYSTEM "file://{secret}"> %x;', "text"),
        (f'<!ENTITY x0 "lol">{BOMB}', "&x29;"),
        ('<!ENTITY x "harmless">', "text"),
    ],
)
def test_entities_are_neither_fetched_nor_expanded(
    read_file: ReadFile, tmp_path: Path, wrap: str, entities: str, reference: str
) -> None:
    (tmp_path / "secret").write_text("the secret")
    head = f"<!DOCTYPE {wrap} [{entities.format(secret=tmp_path / 'secret')}]>\n"
    if wrap == "tmx":
        content = _tmx(_tuv("en", reference) + _tuv("de", "b"), head=head)
    else:
        content = _xliff1(f"<source>{reference}</source><target>b</target>")
        content = content.replace("\n", f"\n{head}", 1)
    reading = read_file(f"memory.{wrap}", content)
    assert reading.pairs == []
    assert reading.rules == ["xml_entities"]


def test_a_document_type_without_entities_is_accepted(read_file: ReadFile) -> None:
    head = '<!DOCTYPE tmx SYSTEM "http://localhost:9/tmx14.dtd">\n'
    unit = _tuv("en", "a") + _tuv("de", "b")
    assert read_file("memory.tmx", _tmx(unit, head=head)).pairs == [("a", "b")]


@pytest.mark.parametrize("name", ["memory.tmx", "memory.xlf", "memory.po"])
def test_without_the_library_its_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / name).write_text("")
    for module in [m for m in sys.modules if m.split(".")[0] == "translate"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "translate", None)
    with pytest.raises(UserError, match=r'pip install "nmt\[memories\]"'):
        open_source(SourceConfig(path=str(tmp_path / name)), ("en", "de"), "data.train")
