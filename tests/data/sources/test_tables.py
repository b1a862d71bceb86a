"""TSV and CSV: columns by name or number; only bad records are skipped."""

from collections.abc import Callable
from typing import Any

import pytest

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
    assert "line 3 has 1 column, but the other lines have 2" in reading.faults[0].message


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
        assert reading.pairs == [("a", "b"), ("f\ufffdnf", "c"), ("d", "e")]
        assert [(f.rule, f.line) for f in reading.faults] == [("not_utf8", 3)]


def test_csv_reads_quotes_and_line_breaks_within_them(read_file: ReadFile) -> None:
    table = 'id,en,de\r\n1,"Hi, ""you""","Hallo,\nDu"\r\n\r\n2,b,c\r\n'
    reading = read_file("text.csv", table)
    assert reading.pairs == [('Hi, "you"', "Hallo,\nDu"), ("b", "c")]
    assert reading.lines == [2, 5]
    assert not reading.faults


def test_a_csv_with_byte_order_mark_and_quoted_header(read_file: ReadFile) -> None:
    assert read_file("text.csv", '\ufeff"en","de"\na,b\n').pairs == [("a", "b")]


def test_a_bad_quote_leaves_its_record_out(read_file: ReadFile) -> None:
    reading = read_file("text.csv", 'en,de\na,b\n"c"c,d\ne,f\n')
    assert reading.pairs == [("a", "b"), ("e", "f")]
    assert [(f.rule, f.line) for f in reading.faults] == [("bad_quotes", 3)]


def test_reading_ends_at_a_quote_that_is_never_closed(read_file: ReadFile) -> None:
    rows = ["en,de", "a,b", '"c,d', *(f"{n},{n}" for n in range(50))]
    reading = read_file("text.csv", "\n".join(rows))
    assert reading.pairs == [("a", "b")]
    assert [(f.rule, f.line) for f in reading.faults] == [("bad_quotes", 3)]
    assert "does not end by line 53" in reading.faults[0].message


def test_a_field_beyond_what_csv_takes_is_reported(read_file: ReadFile) -> None:
    reading = read_file("text.csv", f"en,de\na,b\n{'x' * 200_000},y\nc,d\n")
    assert reading.pairs == [("a", "b"), ("c", "d")]
    assert [(f.rule, f.line) for f in reading.faults] == [("bad_quotes", 3)]
    assert "131072" in reading.faults[0].message


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
    content = "en\tde\nHello there\tHallo\n".encode("utf-16")
    assert read_file(name, content).rules == ["utf16"]
