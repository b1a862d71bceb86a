"""Parquet: text columns of any storage type, and faults by row."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from nmt.config.source_settings import SourceConfig
from nmt.data.sources.encodings import UNDECODED
from nmt.data.sources.open_source import open_source
from nmt.errors import UserError

Read = Callable[..., Any]

EN, DE = ["a", "b", "c", "d", "e"], ["A", "B", "C", "D", "E"]
PAIRS = list(zip(EN, DE, strict=True))


@pytest.fixture
def read_table(tmp_path: Path, read: Read) -> Read:
    def go(columns: dict[str, Any], **settings: str) -> Any:
        path = tmp_path / "text.parquet"
        parquet.write_table(pyarrow.table(columns), path, row_group_size=2)
        config = SourceConfig(path=str(path), **settings)  # type: ignore[arg-type]
        return read(open_source(config, ("en", "de"), "data.train"))

    return go


@pytest.mark.parametrize(
    "kind", [pyarrow.string(), pyarrow.large_string(), pyarrow.dictionary(pyarrow.int8(), "string")]
)
def test_columns_by_language_of_every_kind_of_text(read_table: Read, kind: Any) -> None:
    columns = {"id": range(5), "DE": pyarrow.array(DE, kind), "en": pyarrow.array(EN, kind)}
    reading = read_table(columns)
    assert reading.pairs == PAIRS
    assert reading.lines == [1, 2, 3, 4, 5]
    assert not reading.faults


def test_a_translation_column(read_table: Read) -> None:
    rows = [{"de": target, "en": source, "fr": "x"} for source, target in PAIRS]
    assert read_table({"id": range(5), "translation": rows}).pairs == PAIRS


@pytest.mark.parametrize(("source", "target"), [("q", "r"), ("3", "1")])
def test_columns_by_name_or_number(read_table: Read, source: str, target: str) -> None:
    columns = {"r": DE, "id": range(5), "q": EN}
    assert read_table(columns, source_column=source, target_column=target).pairs == PAIRS


def test_rows_without_text_are_skipped(read_table: Read) -> None:
    reading = read_table({"en": ["a", None, "c"], "de": ["A", "B", None]})
    assert reading.pairs == [("a", "A")]
    assert [(f.rule, f.line) for f in reading.faults] == [("not_text", 2), ("not_text", 3)]
    rows = [{"en": "a", "de": "A"}, None, {"en": "c", "de": "C"}]
    reading = read_table({"translation": rows})
    assert reading.lines == [1, 3]
    assert [(f.rule, f.line) for f in reading.faults] == [("not_text", 2)]


def test_bytes_that_are_not_utf_8_are_reported_and_replaced(read_table: Read) -> None:
    raw = pyarrow.array([b"a", b"f\xfcnf", b"c"])
    reading = read_table({"en": raw.view(pyarrow.string()), "de": ["A", "B", "C"]})
    assert reading.pairs == [("a", "A"), (f"f{UNDECODED}nf", "B"), ("c", "C")]
    assert [(f.rule, f.line) for f in reading.faults] == [("not_utf8", 2)]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"en": EN, "fr": DE}, "has no column 'de'; its columns are en | fr"),
        ({"translation": [{"en": "a", "fr": "b"}]}, "has no pairs of en and de"),
        ({"en": EN, "de": [1, 2, 3, 4, 5]}, "its column 'de' contains int64, not text"),
        (dict.fromkeys(("en", "de"), pyarrow.array([], "string")), "contains no text"),
    ],
)
def test_a_file_that_cannot_give_pairs_is_reported_once(
    read_table: Read, columns: dict[str, Any], message: str
) -> None:
    reading = read_table(columns)
    assert reading.pairs == []
    assert len(reading.faults) == 1
    assert message in reading.faults[0].message


@pytest.mark.parametrize("content", [b"", b"PAR1", b"not a table\n" * 50])
def test_a_file_that_is_not_parquet_is_reported(read_file: Read, content: bytes) -> None:
    reading = read_file("text.parquet", content)
    assert reading.rules == ["unreadable"]
    assert "cannot read" in reading.faults[0].message


def test_a_damaged_part_ends_the_file(tmp_path: Path, read: Read) -> None:
    path = tmp_path / "text.parquet"
    texts = [f"{number} {number**9}" for number in range(6_000)]
    parquet.write_table(pyarrow.table({"en": texts, "de": texts}), path, row_group_size=2_000)
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 5000] = b"\xff" * 5000
    path.write_bytes(content)
    reading = read(open_source(SourceConfig(path=str(path)), ("en", "de"), "data.train"), 20_000)
    assert reading.rules == ["unreadable"]
    assert reading.pairs == [(text, text) for text in texts[: len(reading.pairs)]]


@pytest.mark.parametrize("nested", [False, True])
def test_repeated_long_text_is_read_in_bounded_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nested: bool
) -> None:
    texts = ["short"] * 10 + ["x" * 100_000] * 3000  # 300 MB of text in some kilobytes
    indices = pyarrow.array([0] * 10 + [1] * 3000, pyarrow.int32())
    column = pyarrow.DictionaryArray.from_arrays(indices, pyarrow.array(texts[:11][::10]))
    column = column.dictionary_decode()
    columns = {"en": column, "de": column}
    if nested:
        struct = pyarrow.StructArray.from_arrays([column, column], ["en", "de"])
        columns = {"translation": struct}
    path = tmp_path / "text.parquet"
    parquet.write_table(pyarrow.table(columns), path)
    del column, columns
    monkeypatch.setattr("nmt.data.sources.parquet.BATCH_BYTES", 1 << 20)
    monkeypatch.setattr("nmt.data.sources.records.CHUNK_CHARACTERS", 1 << 20)
    source = open_source(SourceConfig(path=str(path)), ("en", "de"), "data.train")
    before, count = pyarrow.total_allocated_bytes(), 0
    for chunk in source.chunks(20_000):
        count += len(chunk)
        assert sum(map(len, chunk.sources + chunk.targets)) <= (1 << 20) + 200_000
        if len(chunk.sources) > 1:
            assert pyarrow.total_allocated_bytes() - before < 32 << 20
    assert count == len(texts)


def test_a_column_that_expands_as_text_never_does_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "text.parquet"
    texts = [f"{n % 2}{'x' * 10_000}{n}" for n in range(100)]
    parquet.write_table(
        pyarrow.table({"en": texts, "de": texts}), path, compression="zstd", use_dictionary=False
    )
    monkeypatch.setattr("nmt.data.sources.parquet.LARGEST_CHUNK", 1 << 16)
    source = open_source(SourceConfig(path=str(path)), ("en", "de"), "data.train")
    with pytest.raises(UserError, match="row group 1 expands from"):
        list(source.chunks(100))
