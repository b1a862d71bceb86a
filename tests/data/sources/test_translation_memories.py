"""TMX and XLIFF: languages by their tags, text without markup, no downloads or expansion."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nmt.config.source_settings import SourceConfig
from nmt.data.sources.open_source import open_source
from nmt.data.sources.pair_source import DataFault
from nmt.data.sources.xml_records import LONGEST_UNIT

ReadFile = Callable[..., Any]

LARGE = LONGEST_UNIT + (1 << 20)  # characters


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


CODE = [
    ('Click <bpt i="1">&lt;b&gt;</bpt>here<ept i="1">&lt;/b&gt;</ept>.', "Click here."),
    ('See <ph x="1">&lt;img alt="<sub>the logo</sub>"&gt;</ph> above.', "See the logo above."),
    ("and <hi>this <hi>nested</hi> one</hi>.", "and this nested one."),
    ("Line <ut>{\\cf1 </ut>with ut<ut>}</ut> tags.", "Line with ut tags."),
    ('an <it pos="begin">&lt;i&gt;</it>open one.', "an open one."),
    ("a <ph>[<sub>b <ph>(<sub>c</sub>)</ph> d</sub>]</ph> e", "a b c d e"),
    ("Two\n   lines \r\n here.\n", "Two lines here."),
    ("Tom &amp; Jerry &lt;3 &#x20AC;5&#xA0;<![CDATA[<b>]]>", "Tom & Jerry <3 €5\u00a0<b>"),
]


@pytest.mark.parametrize(("inside", "text"), CODE)
def test_inline_code_is_not_text(read_file: ReadFile, inside: str, text: str) -> None:
    tmx = _tmx(_tuv("en", inside) + _tuv("de", "&lt;OK&gt;<!-- nothing --> &#228;"))
    assert read_file("memory.tmx", tmx).pairs == [(text, "<OK> ä")]
    inside = inside.replace("hi>", "mrk>")
    unit = f"<source>A.</source><target>{inside}</target><note>n</note>"
    assert read_file("memory.xlf", _xliff1(unit)).pairs == [("A.", text)]
    segment = f"<segment><source>{inside}</source><target>A.</target></segment>"
    assert read_file("memory.xlf", _xliff2(segment)).pairs == [(text, "A.")]


def test_text_inside_spanning_tags_is_kept(read_file: ReadFile) -> None:
    inline = '<source>Press <g id="1">OK</g><x id="2"/>.</source><target>Drück OK.</target>'
    assert read_file("memory.xlf", _xliff1(inline)).pairs == [("Press OK.", "Drück OK.")]
    inline = (
        '<originalData><data id="d1">&lt;b&gt;</data></originalData><segment><source>Press '
        '<pc id="1" dataRefStart="d1">OK</pc><ph id="2"/><sc id="3"/><mrk id="m">now</mrk>'
        '<ec startRef="3"/><cp hex="001a"/>.</source><target>Drück OK.</target></segment>'
        "<ignorable><source> </source><target> </target></ignorable>"
    )
    assert read_file("memory.xlf", _xliff2(inline)).pairs == [("Press OKnow.", "Drück OK.")]


def test_a_source_split_into_marks_is_read_once(read_file: ReadFile) -> None:
    unit = (
        '<source>A. B.</source><seg-source><mrk mtype="seg" mid="1">A.</mrk></seg-source>'
        '<target><mrk mtype="seg" mid="1">C.</mrk> <mrk mtype="seg" mid="2">D.</mrk></target>'
    )
    assert read_file("memory.xlf", _xliff1(unit)).pairs == [("A. B.", "C. D.")]


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


def test_the_units_before_a_fault_are_read(read_file: ReadFile) -> None:
    content = _tmx(_tuv("en", "a") + _tuv("de", "b")).replace("</body>", "<tu></body>")
    reading = read_file("memory.tmx", content)
    assert reading.pairs == [("a", "b")]
    assert reading.rules == ["malformed"]


@pytest.mark.parametrize(
    "content",
    [
        f"<tmx><body><tu><tuv xml:lang='en'><seg>{'x' * LARGE}</seg></tuv></tu></body></tmx>",
        f"<tmx><!-- {'x' * LARGE} --></tmx>",
        f"<tmx a='{'x' * LARGE}'></tmx>",
        f"<tmx>{'<a>' * 100_000}",
        f"<tmx>{''.join(f'<a{n}/>' for n in range(100_000))}</tmx>",
        f"<tmx><body><tu>{'<tuv><seg/></tuv>' * 300_000}</tu></body></tmx>",
    ],
    ids=["text", "comment", "attribute", "depth", "names", "variants"],
)
def test_memory_is_bounded_by_bytes(tmp_path: Path, content: str) -> None:
    for root in ("tmx", "xliff"):
        renamed = content.replace("tmx>", f"{root}>").replace("<tmx", f"<{root}")
        path = tmp_path / f"memory.{root}"
        path.write_bytes(renamed.encode())
        source = open_source(SourceConfig(path=str(path)), ("en", "de"), "data.train")
        faults: list[DataFault] = []
        tracemalloc.start()
        assert not list(source.chunks(1000, faults.append))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 150 << 20
        if root == "tmx":
            assert [fault.rule for fault in faults] == ["malformed"]


@pytest.mark.parametrize("encoding", ["windows-1252", "gb18030", "shift_jis"])
def test_any_text_encoding_that_includes_ascii_is_read(read_file: ReadFile, encoding: str) -> None:
    text = {"windows-1252": "“ä”", "gb18030": "你好", "shift_jis": "こんにちは"}[encoding]
    content = _tmx(_tuv("en", "a") + _tuv("de", text))
    content = content.replace('version="1.0"', f'version="1.0" encoding="{encoding}"', 1)
    assert read_file("memory.tmx", content.encode(encoding)).pairs == [("a", text)]
    for codec in ("zip", "punycode", "nonsense", "utf-7"):
        broken = content.replace(encoding, codec, 1).encode(encoding)
        reading = read_file("memory.tmx", broken)
        assert (reading.pairs, reading.rules) == ([], ["malformed"])


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
