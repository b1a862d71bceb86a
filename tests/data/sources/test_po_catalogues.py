"""PO: finished messages only, in the direction of the header."""

import gzip
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nmt.config.source_settings import SourceConfig
from nmt.data.sources.encodings import UNDECODED
from nmt.data.sources.open_source import open_source
from nmt.data.sources.pair_source import DataFault

ReadFile = Callable[..., Any]

HEADER = 'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=%s\\n"\n"Language: %s\\n"\n\n'


def _po(*messages: str, language: str = "de", charset: str = "UTF-8") -> str:
    return HEADER % (charset, language) + "\n".join(messages)


def _message(source: str, target: str, flags: str = "") -> str:
    return f'{flags}msgid "{source}"\nmsgstr "{target}"\n'


def test_only_finished_messages_are_pairs(read_file: ReadFile) -> None:
    messages = [
        _message("a dog", "ein Hund", "#: file.c:3\n#. hint\n"),
        _message("not yet", ""),
        _message("guess", "geraten", "#, fuzzy, c-format\n"),
        _message("a cat", "eine Katze", '#, c-format\nmsgctxt "menu"\n'),
        '#~ msgid "gone"\n#~ msgstr "weg"\n',
    ]
    reading = read_file("messages.po", _po(*messages))
    assert reading.pairs == [("a dog", "ein Hund"), ("a cat", "eine Katze")]
    assert reading.lines == [6, 18]
    assert not reading.faults


def test_escapes_and_continued_lines(read_file: ReadFile) -> None:
    message = 'msgid ""\n"one\\n"\n"\\"two\\"\\t"\nmsgstr "eins\\n"\n"zwei\\\\"\n'
    reading = read_file("messages.po", _po(message))
    assert reading.pairs == [('one\n"two"\t', "eins\nzwei\\")]


def test_singular_and_plural_are_a_pair_each(read_file: ReadFile) -> None:
    message = (
        'msgid "%d dog"\nmsgid_plural "%d dogs"\n'
        'msgstr[0] "%d Hund"\nmsgstr[1] "%d Hunde"\nmsgstr[2] "mehr"\n'
    )
    reading = read_file("messages.po", _po(message))
    assert reading.pairs == [("%d dog", "%d Hund"), ("%d dogs", "%d Hunde")]


@pytest.mark.parametrize(
    ("language", "pairs"),
    [
        ("de", [("a", "b")]),
        ("de_AT", [("a", "b")]),
        ("", [("a", "b")]),
        ("en", [("b", "a")]),
        ("fr", []),
    ],
)
def test_the_header_determines_the_direction(
    read_file: ReadFile, language: str, pairs: list[tuple[str, str]]
) -> None:
    reading = read_file("messages.po", _po(_message("a", "b"), language=language))
    assert reading.pairs == pairs
    assert reading.rules == ([] if pairs else ["other_languages"])


def test_the_charset_in_the_header_is_used(read_file: ReadFile) -> None:
    content = _po(_message("bear", "Bär"), charset="ISO-8859-1").encode("iso-8859-1")
    assert read_file("messages.po", content).pairs == [("bear", "Bär")]


def test_bytes_outside_the_charset_are_reported_with_their_line(read_file: ReadFile) -> None:
    content = _po(_message("a", "b"), _message("bear", "Bär")).encode("iso-8859-1")
    reading = read_file("messages.po", content)
    assert [(f.rule, f.line) for f in reading.faults] == [("not_utf8", 10)]
    assert "0xe4" in reading.faults[0].message
    assert reading.pairs == [("a", "b"), ("bear", f"B{UNDECODED}r")]
    content = _po(_message("a", "b"), charset="NONSENSE")
    assert read_file("messages.po", content).rules == ["malformed"]


@pytest.mark.parametrize(
    "broken", ['msgid "a\nmsgstr "b"\n', "nonsense\n", 'msgid "a"\nmsgstr[x] "b"\n']
)
def test_a_file_that_is_not_a_catalogue_is_reported_with_its_line(
    read_file: ReadFile, broken: str
) -> None:
    reading = read_file("messages.po", _po(_message("a", "b")) + "\n" + broken)
    assert reading.pairs == [("a", "b")]
    assert reading.rules == ["malformed"]
    assert reading.faults[0].line in (9, 10, 11)
    assert "is not a PO catalogue" in reading.faults[0].message


def test_a_catalogue_without_translations_has_no_text(read_file: ReadFile) -> None:
    assert read_file("messages.po", _po(_message("a", ""))).rules == ["no_text"]


def test_names_in_the_header_may_precede_its_charset(read_file: ReadFile) -> None:
    header = 'msgid ""\nmsgstr ""\n"Last-Translator: Jürgen\\n"\n'
    charset = '"Content-Type: text/plain; charset=ISO-8859-1\\n"\n\n'
    content = header + charset + _message("bear", "Bär")
    assert read_file("messages.po", content.encode("iso-8859-1")).pairs == [("bear", "Bär")]


def test_a_first_message_that_is_no_header_is_checked(read_file: ReadFile) -> None:
    content = 'msgid ""\n"Bär"\nmsgstr "bear"\n' + _message("a", "b")
    reading = read_file("messages.po", content.encode("iso-8859-1"))
    assert [(f.rule, f.line) for f in reading.faults] == [("not_utf8", 2)]


def test_memory_is_bounded_by_bytes(tmp_path: Path) -> None:
    string = f'"{"x" * 1000}"\n'
    path = tmp_path / "messages.po.gz"
    path.write_bytes(gzip.compress(f'msgid "a"\nmsgstr ""\n{string * 40_000}'.encode(), 1))
    faults: list[DataFault] = []
    source = open_source(SourceConfig(path=str(path)), ("en", "de"), "data.train")
    tracemalloc.start()
    assert not list(source.chunks(1000, faults.append))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100 << 20
    assert [(fault.rule, fault.line) for fault in faults] == [("long_line", 1)]
