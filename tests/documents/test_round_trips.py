"""Documents come back as they were, except for the text that is translated."""

import json
import re
import tracemalloc
from collections.abc import Iterator
from html.parser import HTMLParser
from xml.parsers import expat

import pytest
from document_samples import (
    HTML,
    JSONL,
    MARKDOWN,
    PO,
    SAMPLES,
    SRT,
    TMX,
    VTT,
    XLIFF_1,
    XLIFF_2,
    WordTranslator,
    same,
    translated,
    vowels,
)

from nmt.documents.document_formats import translated_document
from nmt.documents.document_kinds import DocumentFormat
from nmt.documents.document_options import DocumentOptions
from nmt.documents.protection import Protected, Protection
from nmt.documents.segment_translation import SegmentTranslation

WITH_TARGETS = ("tmx", "xliff", "xliff 2", "po")
"""Formats whose translations stand beside the text."""


def _format(name: str) -> str:
    return name.split()[0]


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("block", [1 << 16, 1, 7])
def test_a_translator_that_changes_nothing_gives_the_same_bytes(name: str, block: int) -> None:
    document, options = SAMPLES[name]
    first = translated(document, _format(name), same, block=block, **options)
    if name not in WITH_TARGETS:
        assert first == document.encode()
        return
    assert translated(first, _format(name), same, **options) == first
    again = translated(first, _format(name), same, retranslate=True, **options)
    assert translated(again, _format(name), same, retranslate=True, **options) == again


@pytest.mark.parametrize("name", SAMPLES)
def test_the_result_does_not_depend_on_how_segments_are_grouped(name: str) -> None:
    document, options = SAMPLES[name]
    found = {
        translated(document, _format(name), WordTranslator(vowels, together=together), **options)
        for together in (1, 2, 7, 1000)
    }
    assert len(found) == 1


def _without_letters(document: bytes) -> bytes:
    return re.sub(rb"[aeiou]", b"u", document, flags=re.IGNORECASE)


@pytest.mark.parametrize("name", ["tsv", "srt", "vtt", "html", "markdown", "text", "jsonl"])
def test_a_translator_that_changes_letters_changes_nothing_else(name: str) -> None:
    document, options = SAMPLES[name]
    found = translated(document, _format(name), vowels, **options)
    assert found != document.encode()
    expected = document.encode()
    if name == "html":  # a translation may have spaces
        expected = expected.replace(b"alt=picture", b'alt="picture"')
    if name == "markdown":  # the text of this link is its label
        expected = expected.replace(b"a [reference]", b"a [reference][reference]")
        expected = expected.replace(b"> of", b"of")  # two short lines are one
    left, right = (" ".join(_without_letters(d).decode().split()) for d in (found, expected))
    if name == "jsonl":  # an accented letter becomes plain
        left, right = (re.sub(r"\\u00..", "é", text) for text in (left, right))
    assert left == right


class _Events(HTMLParser):
    """The structure of a page, as another parser reads it."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.found: list[object] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        texts = ("alt", "title", "placeholder", "content", "value")
        self.found.append((tag, [(n, n if n in texts else v) for n, v in attrs]))

    def handle_endtag(self, tag: str) -> None:
        self.found.append(f"/{tag}")

    def handle_comment(self, data: str) -> None:
        self.found.append(data)

    def handle_decl(self, decl: str) -> None:
        self.found.append(decl)


def _events(page: str) -> list[object]:
    parser = _Events()
    parser.feed(page)
    return parser.found


def test_the_tags_of_html_stay_and_its_texts_change() -> None:
    found = translated(HTML, "html", vowels).decode()
    assert _events(found) == _events(HTML)
    for kept in ("<p>Stays</p>", "  Pre\n  stays", "code stays", "This <b>stays</b>", ">Also<"):
        assert kept in found
    for changed in ("Whut ut us", "title='U \"tup\"'", 'alt="pucturu"', "Sund ut"):
        assert changed in found
    assert "U &amp; B" in found
    assert "&lt;lunu&gt;" in found


def _xml(document: bytes) -> list[object]:
    """Return the elements of a document with their attributes, and the text outside segments."""
    found: list[object] = []
    parser = expat.ParserCreate()
    parser.StartElementHandler = lambda name, attributes: found.append((name, attributes))
    parser.EndElementHandler = lambda name: found.append(f"/{name}")
    parser.Parse(document, True)
    return found


def test_a_unit_of_tmx_without_a_translation_gets_one() -> None:
    found = translated(TMX, "tmx", vowels).decode()
    inserted = (
        '\n      <tuv xml:lang="de">\n        <seg>Pruss <bpt i="1">&lt;b&gt;</bpt>thu rud'
        '<ept i="1">&lt;/b&gt;</ept> kuy.</seg>\n      </tuv>'
    )
    assert found.count(inserted) == 1
    rest = found.replace(inserted, "", 1)
    assert rest == TMX.replace(
        '<tuv xml:lang="de"><seg/></tuv>',
        '<tuv xml:lang="de"><seg><hi type="x">Ull</hi></seg></tuv>',
    )


def test_a_unit_of_tmx_is_translated_again_if_asked() -> None:
    found = translated(TMX, "tmx", vowels, retranslate=True).decode()
    assert '<seg>Sult &amp; puppur<ph x="1"/> &#169; 2020</seg></tuv>' in found
    assert "Salz" not in found
    assert "<seg>Sel</seg>" in found


def test_units_of_xliff_1_get_targets_beside_their_sources() -> None:
    found = translated(XLIFF_1, "xliff", vowels).decode()
    changes = {
        "now.</source>": 'now.</source>\n    <target>Upun <g id="1">thu <x id="2"/>fulu</g> nuw.'
        "</target>",
        'translation"/>': 'translation">Suvu ut.</target>',
        "</seg-source>": '</seg-source>\n    <target><mrk mtype="seg" mid="0">Unu.</mrk> '
        '<mrk mtype="seg" mid="1">Twu.</mrk></target>',
        "b]]></source>": 'b]]></source>\n    <target>%1$s uf <bx id="9"/>muny'
        '<ex id="9"/> u &lt; b</target>',
    }
    expected = XLIFF_1
    for old, new in changes.items():
        assert old in expected
        expected = expected.replace(old, new, 1)
    assert found == expected


def test_units_of_xliff_2_get_targets_beside_their_sources() -> None:
    found = translated(XLIFF_2, "xliff", vowels).decode()
    changes = {
        "now.</source>": "now.</source>\n    "
        '<target>Upun <pc id="1">thu fulu</pc> <ph id="2"/> nuw.</target>',
        "<target></target>": '<target><sc id="3"/>Buld<ec startRef="3"/> tuxt</target>',
    }
    expected = XLIFF_2
    for old, new in changes.items():
        expected = expected.replace(old, new, 1)
    assert found == expected


def test_xliff_2_with_translations_names_their_language() -> None:
    document = XLIFF_2.replace(' trgLang="de"', "")
    assert (
        translated(document, "xliff", vowels).decode()
        == translated(XLIFF_2, "xliff", vowels).decode()
    )


def test_messages_of_po_without_a_translation_get_one() -> None:
    found = translated(PO, "po", vowels).decode()
    changes = {
        '?\\n"\nmsgstr ""': '?\\n"\nmsgstr "Dulutu %d fulus frum \\"%s\\"?\\n"',
        'msgstr[0] ""\nmsgstr[1] ""': 'msgstr[0] "%d fulu"\nmsgstr[1] "%d fulus"',
        'there."\nmsgstr ""': 'there."\nmsgstr ""\n"Furst lunu uf tuxt.\\n"\n'
        '"Sucund lunu, whuch hus u tub:\\thuru."',
    }
    expected = PO
    for old, new in changes.items():
        assert old in expected
        expected = expected.replace(old, new, 1)
    assert found == expected


def test_a_catalogue_with_one_plural_form_takes_the_plural() -> None:
    document = 'msgid "%d file"\nmsgid_plural "%d files"\nmsgstr[0] ""\n'
    assert b'msgstr[0] "%d fulus"' in translated(document, "po", vowels)


def test_json_keeps_its_spelling_around_the_text() -> None:
    found = translated(JSONL, "jsonl", vowels).decode().split("\n")
    assert found[0] == JSONL.split("\n")[0].replace('"A \\"red\\" house."', '"U \\"rud\\" huusu."')
    assert found[2] == '{ "text" : "Cuf\\u00e9 und tuu." , "score": 1e5}\r'
    assert found[3:] == ['{"text": null}', '{"text": ""}']


def test_json_gets_a_new_field_and_keeps_a_filled_one() -> None:
    document = '{"text": "red"}\n{"text": "red", "de": "rot"}\n{"text": "red", "de": ""}\n'
    found = translated(document, "jsonl", vowels, into="de").decode().splitlines()
    assert found == [
        '{"text": "red", "de": "rud"}',
        '{"text": "red", "de": "rot"}',
        '{"text": "red", "de": "rud"}',
    ]
    again = translated(document, "jsonl", vowels, into="de", retranslate=True).decode().splitlines()
    assert [json.loads(line)["de"] for line in again] == ["rud"] * 3


def test_a_field_of_json_may_be_inside_another() -> None:
    document = '{"en": "no", "translation": {"en": "red"}}\n'
    found = json.loads(translated(document, "jsonl", vowels, column="translation.en"))
    assert found == {"en": "no", "translation": {"en": "rud"}}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"column": "b"}, "a\tb\nred\trud\n"),
        ({"column": "b", "into": "c"}, "a\tb\tc\nred\tred\trud\n"),
        ({"column": "2", "into": "1", "retranslate": True}, "b\tb\nrud\tred\n"),
        ({"column": "2", "into": "1", "header": True, "retranslate": True}, "a\tb\nrud\tred\n"),
        ({"column": "1"}, "u\tb\nrud\tred\n"),
    ],
)
def test_columns_of_a_table(options: dict[str, object], expected: str) -> None:
    assert translated("a\tb\nred\tred\n", "tsv", vowels, **options).decode() == expected


def test_a_translation_adds_no_column_and_no_row() -> None:
    broken = WordTranslator(lambda text: f"{text}\t\n{text}")
    assert translated("red\tx\n", "tsv", broken) == b"red  red\tx\n"


def test_subtitles_keep_numbers_times_and_speakers() -> None:
    found = translated(SRT, "srt", vowels).decode()
    times = [line for line in SRT.splitlines() if "-->" in line or line.isdigit()]
    assert [line for line in found.splitlines() if "-->" in line or line.isdigit()] == times
    assert "- Whu us ut?\n- {\\an8}Nubudy huru.\n" in found


def test_a_sentence_over_two_subtitles_is_translated_as_one() -> None:
    translator = WordTranslator(vowels)
    found = translated(SRT, "srt", translator).decode()
    assert "A long sentence that continues in the next subtitle." in translator.texts
    assert "U <i>lung</i> suntuncu thut cuntunuus\n\n2\n" in found
    assert "04,000\nun thu nuxt subtutlu.\n\n3\n" in found


def test_a_long_translation_of_a_subtitle_is_wrapped_into_balanced_lines() -> None:
    document = "1\n00:00:01,000 --> 00:00:02,000\nShort.\n"
    long = WordTranslator(lambda text: " ".join(["seven77"] * 9))
    lines = translated(document, "srt", long).decode().splitlines()[2:]
    assert len(lines) == 2
    assert all(len(line) <= 42 for line in lines)
    assert abs(len(lines[0]) - len(lines[1])) <= 8


def test_vtt_keeps_styles_notes_settings_and_tags() -> None:
    found = translated(VTT, "vtt", vowels).decode()
    assert "::cue { color: red }" in found
    assert "NOTE\nThis stays." in found
    assert "intro\n00:01.000 --> 00:02.000 align:start position:10%\n" in found
    assert "<v Mary>Fush &amp; chups <c.loud>fur ull</c>" in found
    assert "Nuw <00:00:03.500>ur <b>nuvur</b>" in found


def test_markdown_keeps_its_blocks() -> None:
    found = translated(MARKDOWN, "markdown", vowels).decode()
    for kept in (
        "---\ntitle: Stays\n---\n",
        " {#anchor}\n",
        "[reference]: http://x.org 'Title stays'\n",
        '```python\ncode = "stays"\n```',
        "    indented code stays\n",
        "<!-- A comment\nstays -->",
        "[^1]: Thu nutu.",
        "|------|:----------:|",
        "| u \\| b | `code` und muru |",
        '[u lunk](http://x.org/a_b "U tup")',
        "![umugu](a.png)",
        "a [rufuruncu][reference]".replace("a [", "u ["),
        '<div title="U tup">\nSumu <b>buld</b> tuxt\n</div>',
        "Furst lunu\\\nsucund lunu",
        "- [ ] U tusk",
        "> U quututuun",
    ):
        assert kept in found, kept


def test_markdown_has_the_same_structure_for_another_parser() -> None:
    markdown_it = pytest.importorskip("markdown_it", reason="needs markdown-it-py, another parser")
    parser = markdown_it.MarkdownIt("commonmark").enable("table")

    def shape(text: str) -> list[object]:
        texts = ("text", "softbreak", "inline")
        tokens = [t for block in parser.parse(text) for t in [block, *(block.children or [])]]
        return [(t.type, t.tag, t.attrGet("href")) for t in tokens if t.type not in texts]

    found = translated(MARKDOWN, "markdown", vowels).decode()
    body = MARKDOWN.partition("---\n#")[2]
    assert shape(found.partition("---\n#")[2]) == shape(body)


def test_a_translation_cannot_become_markup_of_markdown() -> None:
    marks = WordTranslator(lambda text: "1. *a* [b](c) <d> `e`")
    assert translated("Text\n", "markdown", marks) == b"1\\. \\*a\\* \\[b\\](c) \\<d> \\`e\\`\n"


def test_a_wrapped_line_of_markdown_begins_no_block() -> None:
    marks = WordTranslator(lambda text: "word - # 1. > + " * 30)
    document = "A line of the text that is long enough to be\nwrapped again.\n"
    lines = translated(document, "markdown", marks).decode().splitlines()
    assert len(lines) > 2
    assert not any(re.match(r"[-#>+] |\d\. ", line) for line in lines)


@pytest.mark.parametrize(
    ("mark", "codec"),
    [
        (b"", "utf-8"),
        (b"\xef\xbb\xbf", "utf-8"),
        (b"\xff\xfe", "utf-16-le"),
        (b"\xfe\xff", "utf-16-be"),
    ],
)
@pytest.mark.parametrize("name", ["srt", "markdown", "html", "tsv"])
def test_the_encoding_and_its_mark_stay(name: str, mark: bytes, codec: str) -> None:
    document, options = SAMPLES[name]
    text = document.removeprefix("\ufeff")
    found = translated(mark + text.encode(codec), _format(name), vowels, **options)
    assert found.startswith(mark)
    plain = translated(text, _format(name), vowels, **options)
    assert found[len(mark) :].decode(codec) == plain.decode()


def test_a_declared_encoding_stays_and_lacking_characters_are_references() -> None:
    page = '<meta charset="iso-8859-1"><p>caf\xe9'.encode("latin-1")
    longer = WordTranslator(lambda text: f"{text} \u0142\u20ac")
    assert translated(page, "html", longer) == (
        '<meta charset="iso-8859-1"><p>caf\xe9 &#322;\u20ac'.encode("cp1252")
    )


def test_sentences_of_a_paragraph_are_translated_one_by_one() -> None:
    translator = WordTranslator(vowels)
    translated("<p>One here. Two <b>there</b>.</p>", "html", translator)
    assert translator.texts == ["One here.", "Two there."]


def test_equal_texts_are_translated_once() -> None:
    translator = WordTranslator(vowels)
    translated("a cat\na cat\na cat\n", "text", translator)
    assert translator.texts == ["a cat"]


def test_xhtml_may_close_a_script_in_its_tag() -> None:
    document = (
        '<?xml version="1.0"?><html><script src="a"/><p>A text</p><td translate="no"/>b c</html>'
    )
    found = translated(document, "html", vowels).decode()
    assert found == document.replace("A text", "U tuxt")


@pytest.mark.parametrize("format", ["tsv", "srt"])
def test_the_memory_of_a_document_of_lines_does_not_grow_with_it(format: str) -> None:
    rows = {"tsv": b"1\tsome words\tx\n", "srt": b"1\n00:00:01,000 --> 00:00:02,000\nWords.\n\n"}
    peaks = []
    for count in (200, 4000):
        work = SegmentTranslation(WordTranslator(vowels), Protection([]))
        options = DocumentOptions("document", column="2" if format == "tsv" else None)
        blocks = (rows[format] * 10 for _ in range(count // 10))
        tracemalloc.start()
        for _ in translated_document(blocks, DocumentFormat(format), options, work):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 2 * peaks[0] + 100_000


def test_a_document_of_lines_is_answered_before_its_end() -> None:
    read: list[int] = []

    def blocks() -> Iterator[bytes]:
        for index in range(5):
            read.append(index)
            yield b'{"text": "red %d"}\n' % index

    work = SegmentTranslation(WordTranslator(vowels), Protection([Protected.PLACEHOLDERS]))
    options = DocumentOptions("document")
    parts = translated_document(blocks(), DocumentFormat.JSONL, options, work)
    assert next(parts)[0] == b'{"text": "rud 0"}\n'
    assert read == [0]
