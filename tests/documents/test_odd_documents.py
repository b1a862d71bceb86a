"""Documents of the kinds that tools in use write: old line ends, arrows in cues, domains."""

import re
from pathlib import Path

import pytest
from document_samples import MARKDOWN, PO, SRT, VTT, WordTranslator, same, translated, vowels

from nmt.data.sources.po_catalogues import read_po
from nmt.documents.markdown_form import MarkdownForm
from nmt.documents.markdown_inline import InlineReader
from nmt.documents.segments import Tag, TagKind, Text, spelled, tag
from nmt.documents.tag_placement import Link


@pytest.mark.parametrize(
    ("format", "document"), [("srt", SRT), ("vtt", VTT), ("markdown", MARKDOWN), ("po", PO)]
)
@pytest.mark.parametrize("block", [1 << 16, 5])
def test_a_carriage_return_alone_ends_a_line(format: str, document: str, block: int) -> None:
    expected = translated(document, format, vowels).replace(b"\n", b"\r")
    found = translated(document.replace("\n", "\r"), format, vowels, block=block)
    assert found == expected


def test_line_ends_of_several_kinds_stay_in_subtitles() -> None:
    document = "WEBVTT\r\r\n00:01.000 --> 00:02.000\rOne line\n\r\n00:03.000 --> 00:04.000\nTwo\r"
    assert translated(document, "vtt", same) == document.encode()
    expected = document.replace("One line", "Unu lunu").replace("Two", "Twu")
    assert translated(document, "vtt", vowels) == expected.encode()


@pytest.mark.parametrize("arrow", ["-->", "a note --> b", "00:05.000 --> never"])
def test_a_line_with_an_arrow_ends_a_cue_of_webvtt(arrow: str) -> None:
    document = f"WEBVTT\n\n00:01.000 --> 00:02.000\nOne line\n{arrow}\nNo cue\n\nNo cue\n"
    expected = document.replace("One line", "Unu lunu")
    assert translated(document, "vtt", vowels) == expected.encode()


def test_a_number_without_times_stays_in_srt() -> None:
    document = "1\n00:00:01,000 --> 00:00:02,000\nOne line\n\n2\nAnother line\n"
    expected = document.replace("One line", "Unu lunu").replace("Another line", "Unuthur lunu")
    assert translated(document, "srt", vowels) == expected.encode()


CATALOGUE = (
    'domain first\n\nmsgid "One"\nmsgstr ""\n\ndomain "the second"\nmsgid "Two"\nmsgstr ""\n'
)


def test_domains_of_a_catalogue_stay() -> None:
    found = translated(CATALOGUE, "po", vowels).decode()
    first, second = found.replace('msgstr "Unu"', "x").replace('msgstr "Twu"', "y"), CATALOGUE
    assert first.replace("x", 'msgstr ""').replace("y", 'msgstr ""') == second
    assert found.count('"Unu"') == found.count('"Twu"') == 1


def test_a_catalogue_with_domains_is_training_text(tmp_path: Path) -> None:
    path = tmp_path / "de.po"
    path.write_text(CATALOGUE.replace('msgid "One"\nmsgstr ""', 'msgid "One"\nmsgstr "Eins"'))
    faults: list[object] = []
    found = [row[1:] for row in read_po(path, faults.append, ("en", "de"))]
    assert (found, faults) == ([("One", "Eins")], [])


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ("`a`|`b`", "`a` `b`"),
        ("`a`| |`b`", "`a` `b`"),
        ("word|**|: bold|**", "word **: bold**"),
        ("**|bold:|**|word", "**bold:** word"),
        ("**|bold|**|word", "**bold**word"),
        ("word|_|slanted|_|word", "word _slanted_ word"),
        ("**|`a`|**|`b`|word", "**`a`**`b`word"),
    ],
)
def test_tags_of_markdown_stay_tags_beside_their_new_neighbours(tokens: str, expected: str) -> None:
    opened: set[str] = set()
    given: list[str | Tag | Text] = []
    for part in tokens.split("|"):
        if part in ("**", "_"):
            given.append(tag(TagKind.CLOSE if part in opened else TagKind.OPEN, part, part))
            opened.add(part)
        else:
            given.append(tag(TagKind.SINGLE, part) if part.startswith("`") else part)
    found = MarkdownForm("").separated(given)
    text = "".join(spelled(one.parts) if isinstance(one, Tag) else str(one) for one in found)
    assert text == expected
    read = [t for t in InlineReader((), 1).read(text) if not isinstance(t, Text)]
    assert len(read) == sum(isinstance(one, Tag) for one in given)


def test_a_code_span_at_the_edge_is_not_joined_with_one_that_moved() -> None:
    reverse = WordTranslator(lambda text: " ".join(reversed(text.split())), links=_reversed)
    found = translated("`a` comes before `b` here\n", "markdown", reverse).decode()
    spans = [t for t in InlineReader((), 1).read(found) if isinstance(t, Tag)]
    assert [spelled(one.parts) for one in spans] in (["`a`", "`b`"], ["`b`", "`a`"])


def _reversed(text: str, translation: str) -> list[Link]:
    there = [found.span() for found in re.finditer(r"\S+", translation)]
    return list(zip((f.span() for f in re.finditer(r"\S+", text)), there[::-1], strict=True))
