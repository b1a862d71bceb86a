"""TSV and CSV: columns by name or number; only bad records are skipped."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nmt.config.source_settings import SourceConfig
from nmt.data.sources.encodings import UNDECODED
from nmt.data.sources.open_source import open_source
from nmt.errors import UserError

ReadFile = Callable[..., Any]

BY_NUMBER = {"source_column": "1", "target_column": "2"}


@pytest.mark.parametrize("header", ["en\tde", "de\ten", "id\tEN\tDe", "\ufeffen\tde", "en\tde\r"])
def test_columns_are_found_by_language(read_file: ReadFile, header: str) -> None:
    names = [name.strip("\ufeff\r").lower() for name in header.split("\t")]
    cells = {"en": "a dog", "de": "ein Hund", "id": "7"}
    row = "\t".join(cells[name] for name in names)
    reading = read_file("text.tsv", f"{header}\n{row}\n{row}\n")
    assert reading.pairs == [("a dog", "ein Hund")] * 2
    assert reading.lines == [2, 3]
    assert not reading.faults


def test_columns_are_found_by_the_names_given(read_file: ReadFile) -> None:
    columns = {"source_column": "src", "target_column": "tgt"}
    table = "tgt\tsrc\nein Hund\ta dog\n"
    assert read_file("a.tsv", table, **columns).pairs == [("a dog", "ein Hund")]


def test_columns_by_number_have_no_header(read_file: ReadFile) -> None:
    columns = {"source_column": "3", "target_column": "1"}
    reading = read_file("text.tsv", "en\t1\tde\nA\t2\tB\n", **columns)
    assert reading.pairs == [("de", "en"), ("B", "A")]
    assert reading.lines == [1, 2]


def test_a_quote_in_tsv_is_a_quote(read_file: ReadFile) -> None:
    table = 'en\tde\n"Hi", he said\t"Hallo\n\'a\\tb\tc"d\n'
    reading = read_file("text.tsv", table)
    assert reading.pairs == [('"Hi", he said', '"Hallo'), ("'a\\tb", 'c"d')]


@pytest.mark.parametrize("name", ["text.tsv", "text.csv"])
def test_a_missing_column_is_reported_with_the_existing_ones(
    read_file: ReadFile, name: str
) -> None:
    separator = "\t" if name.endswith("tsv") else ","
    reading = read_file(name, f"en{separator}french\na{separator}b\n")
    assert reading.pairs == []
    assert reading.rules == ["missing_column"]
    message = reading.faults[0].message
    assert "has no column 'de'; its columns are en | french" in message
    assert "data.train.source_column=1 data.train.target_column=2" in message


def test_a_number_beyond_the_columns_is_reported(read_file: ReadFile) -> None:
    reading = read_file("a.tsv", "a\tb\n", source_column="1", target_column="3")
    assert reading.rules == ["missing_column"]
    assert "no column '3'; its columns are 1 | 2" in reading.faults[0].message


@pytest.mark.parametrize("settings", [{}, BY_NUMBER])
def test_records_of_another_width_are_skipped(
    read_file: ReadFile, settings: dict[str, str]
) -> None:
    rows = ["a\tA", "b", "c\tC\tstray", "", "d\tD\r", "\t", "e\tE"]
    reading = read_file("text.tsv", "\n".join(["en\tde", *rows]), **settings)
    header = [("en", "de")] if settings else []
    assert reading.pairs == [*header, ("a", "A"), ("d", "D\r"), ("", ""), ("e", "E")]
    assert [(f.rule, f.line) for f in reading.faults] == [
        ("too_few_columns", 3),
        ("too_many_columns", 4),
    ]
    assert "row 3 has 1 column, but the other rows have 2" in reading.faults[0].message


@pytest.mark.parametrize("name", ["text.tsv", "text.csv"])
def test_nul_is_reported_and_its_record_skipped(read_file: ReadFile, name: str) -> None:
    separator = "\t" if name.endswith("tsv") else ","
    rows = [f"one{separator}eins", f"t\0wo{separator}zwei", f"three{separator}drei"]
    reading = read_file(name, "\n".join(rows), **BY_NUMBER)
    assert reading.pairs == [("one", "eins"), ("three", "drei")]
    assert [(f.rule, f.line) for f in reading.faults] == [("forbidden_character", 2)]
    assert "U+0000" in reading.faults[0].message


def test_not_utf_8_in_a_table_is_reported_with_its_line(read_file: ReadFile) -> None:
    for name, separator in (("a.tsv", b"\t"), ("a.csv", b",")):
        content = b"en,de\na,b\nf\xfcnf,c\nd,e\n".replace(b",", separator)
        reading = read_file(name, content)
        assert reading.pairs == [("a", "b"), (f"f{UNDECODED}nf", "c"), ("d", "e")]
        assert [(f.rule, f.line) for f in reading.faults] == [("not_utf8", 3)]


def test_csv_reads_quotes_and_line_breaks_within_them(read_file: ReadFile) -> None:
    table = 'id,en,de\r\n1,"Hi, ""you""","Hallo,\nDu"\r\n\r\n2,b,c\r\n'
    reading = read_file("text.csv", table)
    assert reading.pairs == [('Hi, "you"', "Hallo,\nDu"), ("b", "c")]
    assert reading.lines == [2, 4]  # as a spreadsheet numbers them: a blank line is a row
    assert not reading.faults


def test_a_csv_with_byte_order_mark_and_quoted_header(read_file: ReadFile) -> None:
    assert read_file("text.csv", '\ufeff"en","de"\na,b\n').pairs == [("a", "b")]


def test_a_bad_quote_leaves_its_record_out(read_file: ReadFile) -> None:
    reading = read_file("text.csv", 'en,de\na,b\n"c"c,d\ne,f\n')
    assert reading.pairs == [("a", "b"), ("e", "f")]
    assert [(f.rule, f.line) for f in reading.faults] == [("bad_quotes", 3)]


@pytest.mark.parametrize("end", ["", '"e","f"\n', '"e;","f"\n1,2\n', 'x",y\n'])
def test_a_quote_that_is_never_closed_costs_its_own_row(read_file: ReadFile, end: str) -> None:
    rows = ["en,de", "a,b", '"c,d', *(f"{n},{n}" for n in range(50)), end]
    reading = read_file("text.csv", "\n".join(rows))
    later = [tuple(row.replace('"', "").split(",")) for row in end.splitlines() if row[0] != "x"]
    expected = [("a", "b"), *((str(n), str(n)) for n in range(50)), *later]
    stray = [('x"', "y")] if end.startswith("x") else []
    assert reading.pairs == expected + stray
    assert [(f.rule, f.line) for f in reading.faults] == [("bad_quotes", 3)]


def test_a_file_whose_records_cannot_be_read_again_ends_there(
    read_file: ReadFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nmt.data.sources.csv_records._SPARE", 1000)
    reading = read_file("text.csv", "en,de\na,b\n" + 'a","\n' * 2000)
    assert reading.pairs == [("a", "b")]
    assert "the rows after it cannot be read" in reading.faults[-1].message


@pytest.mark.parametrize("quote", ["", '"'])
def test_a_long_field_is_read(read_file: ReadFile, quote: str) -> None:
    long = "x" * 3_000_000
    reading = read_file("text.csv", f"en,de\na,b\n{quote}{long}{quote},y\nc,d\n")
    assert reading.pairs == [("a", "b"), (long, "y"), ("c", "d")]
    assert not reading.faults


@pytest.mark.parametrize("filler", ["x\n", 'x\n","', '\n","'])
def test_a_record_without_end_is_bounded_by_its_bytes(
    read_file: ReadFile, monkeypatch: pytest.MonkeyPatch, filler: str
) -> None:
    monkeypatch.setattr("nmt.data.sources.csv_records.LONGEST", 1 << 20)
    reading = read_file("text.csv", f'en,de\na,b\n"{filler * 600_000}')
    assert reading.pairs == [("a", "b")]
    assert [(f.rule, f.line) for f in reading.faults] == [("long_line", 3)]


def test_long_cells_make_small_chunks(read_file: ReadFile, monkeypatch: Any) -> None:
    monkeypatch.setattr("nmt.data.sources.records.CHUNK_CHARACTERS", 1000)
    rows = "".join(f"{'x' * 400},{'y' * 400}\n" for _ in range(10))
    assert read_file("text.csv", f"en,de\n{rows}", size=100).sizes == [2] * 5


@pytest.mark.parametrize("name", ["text.csv", "text.tsv", "text.tab"])
@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_the_header_shows_the_separator(read_file: ReadFile, name: str, mark: str) -> None:
    table = f"id{mark}en{mark}de\r\n1{mark}a dog{mark}ein Hund\r\n"
    reading = read_file(name, table)
    assert [(s, t.strip()) for s, t in reading.pairs] == [("a dog", "ein Hund")]
    assert not reading.faults
    by_number = {"source_column": "2", "target_column": "3"}
    pairs = read_file(name, table, **by_number).pairs
    assert [(s, t.strip()) for s, t in pairs] == [("en", "de"), ("a dog", "ein Hund")]


def test_other_separators_in_a_quoted_header_do_not_count(read_file: ReadFile) -> None:
    table = '"notes, remarks, and more";en;de\nx;"Hi; you, there";Hallo, du\n'
    assert read_file("text.csv", table).pairs == [("Hi; you, there", "Hallo, du")]


def test_a_wrong_width_names_the_separator(read_file: ReadFile) -> None:
    reading = read_file("text.csv", "en;de\na;b;c\n")
    assert "look for a superfluous semicolon" in reading.faults[0].message


@pytest.mark.parametrize(
    ("name", "content", "setting"),
    [
        ("text.tsv", 'en\tde\na\tb\n"c\td\te\n', "data.extra.more.quotes=cells"),
        ("text.csv", 'en,de\na,"b"c\n', "data.extra.more.quotes=literal"),
    ],
)
def test_a_remedy_names_the_settings_of_its_own_file(
    tmp_path: Path, read: Callable[..., Any], name: str, content: str, setting: str
) -> None:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    reading = read(open_source(SourceConfig(path=str(path)), ("en", "de"), "data.extra.more"))
    assert [setting in fault.message for fault in reading.faults] == [True]


@pytest.mark.parametrize("mark", [";", ",", "\t"])
def test_the_line_of_excel_that_names_the_separator_is_skipped(
    read_file: ReadFile, mark: str
) -> None:
    reading = read_file("text.csv", f"\ufeffsep={mark}\r\nen{mark}de\r\na{mark}b\r\n")
    assert (reading.pairs, reading.lines) == ([("a", "b")], [2])  # Excel hides that line


def test_a_quoted_table_with_tabs_is_read_as_csv(read_file: ReadFile) -> None:
    table = 'en\tde\n"say ""hi""\tnow"\t"sag\nhallo"\n'
    reading = read_file("text.tsv", table, format="csv")
    assert reading.pairs == [('say "hi"\tnow', "sag\nhallo")]


QUOTED = 'en\tde\n"He said ""hi"""\t"Er sagte ""hallo"""\n"""no"""\t"""nein"""\n'


@pytest.mark.parametrize("name", ["text.tsv", "text.csv"])
def test_quotation_marks_are_text_if_the_settings_say_so(read_file: ReadFile, name: str) -> None:
    reading = read_file(name, QUOTED, quotes="literal")
    assert reading.pairs == [
        ('"He said ""hi"""', '"Er sagte ""hallo"""'),
        ('"""no"""', '"""nein"""'),
    ]
    assert reading.rules == []


def test_a_table_that_looks_quoted_names_the_setting_that_keeps_the_quotes(
    read_file: ReadFile,
) -> None:
    reading = read_file("text.tsv", QUOTED)
    assert reading.pairs[0] == ('He said "hi"', 'Er sagte "hallo"')
    assert reading.rules == ["read_with_quotes"]
    assert "if they are part of the text, set data.train.quotes=literal" in (
        reading.faults[0].message
    )
    assert read_file("text.tsv", QUOTED, quotes="cells").rules == []


def test_quotes_have_no_meaning_outside_tables(read_file: ReadFile) -> None:
    with pytest.raises(UserError, match=r"data.train.quotes=cells has no meaning for jsonl"):
        read_file("text.jsonl", '{"en": "a", "de": "b"}', quotes="cells")


@pytest.mark.parametrize("name", ["text.tsv", "text.csv", "text.jsonl"])
@pytest.mark.parametrize("content", [b"", b"\n\n", b"\r\n"])
def test_an_empty_table_has_no_text(read_file: ReadFile, name: str, content: bytes) -> None:
    reading = read_file(name, content)
    assert reading.rules == ["no_text"]
    assert reading.faults[0].message.endswith(f"{name} contains no text")


def test_a_blank_side_is_reported(read_file: ReadFile) -> None:
    reading = read_file("text.tsv", "en\tde\na\t\nb\t \n")
    assert reading.pairs == [("a", ""), ("b", " ")]
    assert [f.message.split(" contains ")[1] for f in reading.faults] == [
        "no text in any target sentence"
    ]


@pytest.mark.parametrize("name", ["text.tsv", "text.csv", "text.jsonl", "text.po"])
def test_utf_16_is_reported_once_in_every_format(read_file: ReadFile, name: str) -> None:
    content = "en\tde\nHello there\tHallo\n".encode("utf-16-le")
    assert read_file(name, content).rules == ["utf16"]
