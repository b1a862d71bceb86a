"""Sheets as spreadsheet programs export them: read right, or refused with the remedy."""

import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from sheets import export, sentences, with_faults

from nmt.config.data import FilesDataConfig
from nmt.config.source_settings import SourceConfig
from nmt.data.corpus import split_sources
from nmt.data.sources.faulty_rows import WithoutFaultyRows
from nmt.data.sources.open_source import open_source, read_all
from nmt.data.sources.pair_source import DataFault, FaultKind, PairSource, clean_text, refuse
from nmt.errors import UserError

Write = Callable[..., PairSource]
PAIRS = [
    ("Grüße aus Köln", "Greetings from Cologne"),
    ('Er sagte: "Nein"; dann ging er.', 'He said: "No"; then, he left.'),
    ("Zeile eins\nZeile zwei", "line one\nline two"),
    ("Das ist ein Haus.", "This is a house."),
]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a file and opens it as a sheet of German and English."""

    def go(content: bytes, name: str = "sheet.csv", most: float = 0.02, **settings: str) -> object:
        path = tmp_path / name
        path.write_bytes(content)
        config = SourceConfig(path=str(path), **settings)  # type: ignore[arg-type]
        return WithoutFaultyRows(open_source(config, ("de", "en"), "data.train"), most)

    return go  # type: ignore[return-value]


def _read(source: PairSource) -> tuple[list[tuple[str, str]], list[DataFault]]:
    faults: list[DataFault] = []

    def sink(fault: DataFault) -> None:
        refuse(fault)
        faults.append(fault)

    pairs = [
        (clean_text(one), clean_text(two))
        for chunk in source.chunks(1000, sink)
        for one, two in zip(chunk.sources, chunk.targets, strict=True)
    ]
    return pairs, faults


@pytest.mark.parametrize("separator", [";", "\t", ","])
@pytest.mark.parametrize("name", ["sheet.csv", "sheet.tsv"])
@pytest.mark.parametrize("quote_all", [False, True])
def test_every_separator_and_quoting_is_read(
    write: Write, separator: str, name: str, quote_all: bool
) -> None:
    table = export([("de", "en"), *PAIRS], separator, quote_all=quote_all)
    pairs, faults = _read(write(table, name))
    assert pairs == [tuple(map(clean_text, pair)) for pair in PAIRS]
    assert {fault.rule for fault in faults} <= {"read_with_quotes"}


@pytest.mark.parametrize(
    "header",
    [
        ("German", "English"),
        ("Deutsch", "Englisch"),
        ("allemand", "anglais"),
        ("DE", "EN"),
        ("de-DE", "en_GB"),
        ("deu", "eng"),
        ("German (Germany)", "English [UK]"),
        (" de ", "English"),
    ],
)
@pytest.mark.parametrize("separator", [";", "\t", ","])
def test_columns_are_found_by_the_names_of_languages(
    write: Write, header: tuple[str, str], separator: str
) -> None:
    rows = [("id", *header, "comment"), *((str(n), *pair, "x") for n, pair in enumerate(PAIRS))]
    assert _read(write(export(rows, separator)))[0][0] == PAIRS[0]
    three = [("French", *reversed(header)), ("bonjour", "hello", "hallo")]
    assert _read(write(export(three, separator)))[0] == [("hallo", "hello")]


@pytest.mark.parametrize(
    "header", [("source", "target"), ("Hallo", "Hello"), ("German", "German"), ("en", "fr")]
)
def test_columns_that_are_not_languages_are_refused_with_both_remedies(
    write: Write, header: tuple[str, str]
) -> None:
    message = r"its columns are .*data.train.source_column=NAME .*source_column=1 "
    with pytest.raises(UserError, match=message):
        _read(write(export([header, *PAIRS])))
    numbers = {"source_column": "1", "target_column": "2"}
    assert len(_read(write(export(PAIRS), **numbers))[0]) == 4


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("separator", [";", "\t"])
def test_a_byte_order_mark_is_certain(write: Write, encoding: str, separator: str) -> None:
    pairs, faults = _read(write(export([("de", "en"), *PAIRS], separator, encoding=encoding)))
    assert pairs[0] == PAIRS[0]
    assert [fault.kind for fault in faults] == [FaultKind.NOTE] * (encoding != "utf-8-sig")


@pytest.mark.parametrize("encoding", ["windows-1252", "mac-roman", "cp850", "utf-16-le"])
def test_other_encodings_are_named_with_one_word_to_add(write: Write, encoding: str) -> None:
    table = export([("de", "en"), *PAIRS], encoding=encoding)
    with pytest.raises(UserError, match=rf"add data\.train\.encoding={encoding} to") as caught:
        _read(write(table))
    assert "Grüße" in str(caught.value) or encoding == "utf-16-le"
    assert _read(write(table, encoding=encoding))[0][0] == PAIRS[0]
    command = re.search(r"iconv -f \S+ -t UTF-8", str(caught.value))
    assert command is not None
    if shutil.which("iconv"):
        converted = subprocess.run(shlex.split(command[0]), input=table, capture_output=True)
        assert converted.stdout.decode() == table.decode(encoding)


def test_utf_8_is_not_read_in_another_encoding(write: Write) -> None:
    table = export([("de", "en"), *PAIRS])
    with pytest.raises(UserError, match=r"it is UTF-8, but data.train.encoding is windows-1252"):
        _read(write(table, encoding="windows-1252"))
    with pytest.raises(UserError, match=r"row 4|line 4 contains bytes that cp1253 does not have"):
        _read(write(b"de;en\na;b\n" + b"c;d\n\xaa\xd2;e\n", encoding="cp1253", most=0.0))


def test_a_sheet_of_an_old_mac_is_read(write: Write) -> None:
    table = export([("de", "en"), PAIRS[0], PAIRS[3]], encoding="mac-roman", line_end="\r")
    assert _read(write(table, encoding="mac-roman"))[0] == [PAIRS[0], PAIRS[3]]


@pytest.mark.parametrize("separator", [";", "\t"])
@pytest.mark.parametrize("name", ["sheet.csv", "sheet.tsv"])
def test_one_percent_of_faulty_rows_is_left_out_and_counted(
    write: Write, separator: str, name: str
) -> None:
    pairs = [pair for pair in sentences(2000) if '"' not in "".join(pair)]
    whole = export([("de", "en"), *pairs], separator)
    if separator == "\t" and name == "sheet.tsv":
        whole = whole.replace(b"\r\n", b"\r\n")
    table, rows = with_faults(whole, 0.01, separator)
    found, faults = _read(write(table, name))
    wrong = {pairs[row - 2] for row in rows}
    assert not wrong & set(found) or name == "sheet.tsv"  # there, a quote is a quote
    assert set(pairs) - wrong <= set(found)
    left_out = [fault for fault in faults if fault.kind == FaultKind.LEFT_OUT]
    assert sum(fault.count for fault in left_out) == len(pairs) - len(found)
    assert {fault.line for fault in left_out} <= set(rows)


def test_more_faulty_rows_are_refused_with_examples(write: Write) -> None:
    pairs = [pair for pair in sentences(1000) if '"' not in "".join(pair)]
    table, rows = with_faults(export([("de", "en"), *pairs]), 0.05)
    with pytest.raises(UserError, match=r"of 1,000 rows of .* more than data.max_faulty=0.02"):
        _read(write(table))
    with pytest.raises(UserError, match=rf"row {rows[0]} .*leave them out by data.max_faulty=0.05"):
        _read(write(table))
    assert len(_read(write(table, most=0.06))[0]) == len(pairs) - len(rows)


def test_the_row_is_that_of_the_spreadsheet(write: Write) -> None:
    rows = [("de", "en"), *PAIRS, ("", ""), *[("a", "b")] * 200, ("#REF!", "x")]
    _, faults = _read(write(export(rows)))
    assert [(fault.rule, fault.line) for fault in faults] == [("spreadsheet_error", len(rows))]
    assert f"row {len(rows)} contains #REF!" in faults[0].message


def test_empty_columns_and_rows_at_the_end_are_no_faults(write: Write) -> None:
    rows = [("de", "en", "", ""), ("a", "b"), ("c", "d", "", "", ""), ("", "", ""), ("e", "f", "")]
    pairs, faults = _read(write(export([*rows, *[("",) * 4] * 50])))
    assert [pair for pair in pairs if any(pair)] == [("a", "b"), ("c", "d"), ("e", "f")]
    assert not faults


@pytest.mark.parametrize("stray", ['x"', '"x'])
def test_a_quote_does_not_swallow_rows_in_silence(write: Write, stray: str) -> None:
    rows = [f"{n};{n}" for n in range(300)]
    rows[100], rows[150] = f'"{rows[100]}', f"150;{stray}"
    content = "\n".join(["de;en", *rows]).encode()
    pairs, faults = _read(write(content))
    assert len(pairs) >= 298
    assert sum(fault.count for fault in faults) == 300 - len(pairs)


@pytest.mark.parametrize("name", ["sheet.xlsx", "sheet.ods", "sheet.xls"])
def test_a_workbook_is_refused_with_the_remedy(write: Write, name: str) -> None:
    with pytest.raises(UserError, match="save the sheet as CSV UTF-8"):
        write(b"PK\x03\x04", name)
    with pytest.raises(UserError, match="workbook.*save it as CSV UTF-8"):
        _read(write(b"PK\x03\x04" + bytes(100)))


@pytest.mark.parametrize("form", ["lines", "jsonl"])
def test_other_formats_leave_out_few_faulty_rows(tmp_path: Path, form: str) -> None:
    pairs = sentences(300)
    pairs[99] = ("#N/A", "text")
    if form == "lines":
        for side, code in enumerate(("de", "en")):
            text = "".join(f"{pair[side]}\n" for pair in pairs).encode()
            text = text.replace(pairs[200][side].encode(), b"stray \xfc") if side else text
            (tmp_path / f"x.{code}").write_bytes(text)
        source = SourceConfig(path=str(tmp_path / "x.{lang}"))
    else:
        lines = [f'{{"German": "{one}", "en": "{two}"}}' for one, two in pairs]
        lines[200] = lines[200][:-3]
        (tmp_path / "x.jsonl").write_text("\n".join(lines), encoding="utf-8")
        source = SourceConfig(path=str(tmp_path / "x.jsonl"))
    data = FilesDataConfig(
        source_language="de",
        target_language="en",
        train=source,
        valid=SourceConfig(held_out=10),
        test=SourceConfig(held_out=10),
    )
    parts = split_sources(data)
    assert sum(len(read_all(part)[0]) for part in parts.values()) == 298
    faults: list[DataFault] = []
    for _ in parts["train"].chunks(100, faults.append):
        pass
    assert sorted((fault.line, fault.kind) for fault in faults) == [
        (100, FaultKind.LEFT_OUT),
        (201, FaultKind.LEFT_OUT),
    ]
