"""Documents of every format: where they end, and what cannot have such boundaries."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from nmt.config.source_settings import Documents, SourceConfig
from nmt.data.sources.documents import Boundaries
from nmt.data.sources.faulty_rows import WithoutFaultyRows
from nmt.data.sources.open_source import open_source, read_whole
from nmt.data.sources.pair_source import PairSource
from nmt.errors import UserError

ROWS = [("a", "A", "x"), ("b", "B", "x"), ("c", "C", "y"), ("d", "D", "x")]
Opened = Callable[..., PairSource]


@pytest.fixture
def opened(tmp_path: Path) -> Opened:
    def go(kind: str, column: str | None = None, **settings: str) -> PairSource:
        settings = {
            key: str(tmp_path / value) if key in ("path", "dataset") else value
            for key, value in settings.items()
        }
        config = SourceConfig(**settings)  # type: ignore[arg-type]
        boundaries = Boundaries(kind, column)
        return open_source(config, ("en", "de"), "data.train", boundaries=boundaries)

    return go


def _write(folder: Path, name: str, source: str, target: str) -> None:
    (folder / f"{name}.en").write_text(source)
    (folder / f"{name}.de").write_text(target)


@pytest.mark.parametrize("size", [1, 2, 100])
def test_blank_lines_end_documents_and_are_no_pairs(
    size: int, opened: Opened, tmp_path: Path
) -> None:
    _write(tmp_path, "t", "\na\nb\n\n \nc\n\nd\n", "\nA\n\n\n\nC\n\nD\n")
    chunks = list(opened(Documents.BLANK_LINES, path="t.{lang}").chunks(size))
    pairs = [pair for chunk in chunks for pair in zip(chunk.sources, chunk.targets, strict=True)]
    assert pairs == [("a", "A"), ("b", ""), ("c", "C"), ("d", "D")]  # half a pair is no boundary
    assert [line for chunk in chunks for line in chunk.lines] == [2, 3, 6, 8]
    documents = [number for chunk in chunks for number in chunk.documents or ()]
    same = [one == other for one, other in zip(documents, documents[1:], strict=False)]
    assert same == [True, False, False]


def test_a_document_never_continues_in_the_next_file(opened: Opened, tmp_path: Path) -> None:
    _write(tmp_path, "t1", "a\nb\n", "A\nB\n")
    _write(tmp_path, "t2", "c\n", "C\n")
    for kind in (Documents.BLANK_LINES, Documents.FILES):
        documents = read_whole(opened(kind, path="t*.{lang}"))[2]
        assert documents == [0, 0, 1]


def _tsv(path: Path) -> None:
    path.write_text("en\tde\tdoc\n" + "".join("\t".join(row) + "\n" for row in ROWS))


def _jsonl(path: Path) -> None:
    rows = ({"translation": {"en": s, "de": t}, "doc": d} for s, t, d in ROWS)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def _parquet(path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    sides = zip(*ROWS, strict=True)
    parquet.write_table(pyarrow.table(dict(zip(("en", "de", "doc"), sides, strict=True))), path)


@pytest.mark.parametrize(
    ("suffix", "write"), [("tsv", _tsv), ("jsonl", _jsonl), ("parquet", _parquet)]
)
def test_a_column_names_the_document(
    suffix: str, write: Callable[[Path], None], opened: Opened, tmp_path: Path
) -> None:
    write(tmp_path / f"t.{suffix}")
    source = opened(Documents.COLUMN, "doc", path=f"t.{suffix}")
    assert read_whole(source) == (list("abcd"), list("ABCD"), [0, 0, 1, 2])
    assert read_whole(opened(Documents.NONE, path=f"t.{suffix}"))[2] is None
    fingerprints = {
        opened(kind, column, path=f"t.{suffix}").fingerprint()
        for kind, column in ((Documents.NONE, None), (Documents.COLUMN, "doc"))
    }
    assert len(fingerprints) == 2


def test_a_dataset_has_a_column_of_documents(opened: Opened, tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    _jsonl(tmp_path / "set" / "train.jsonl")
    source = opened(Documents.COLUMN, "doc", dataset="set")
    assert read_whole(source) == (list("abcd"), list("ABCD"), [0, 0, 1, 2])


def test_a_column_by_number_needs_the_other_columns_by_number(
    opened: Opened, tmp_path: Path
) -> None:
    _tsv(tmp_path / "t.tsv")
    with pytest.raises(UserError, match=r"document_column=3 is a number"):
        opened(Documents.COLUMN, "3", path="t.tsv")
    rows = read_whole(
        opened(Documents.COLUMN, "3", path="t.tsv", source_column="1", target_column="2")
    )
    assert rows[2] == [0, 1, 1, 2, 3]  # with the header, which is then a row


def test_faulty_rows_leave_the_documents_of_the_others(opened: Opened, tmp_path: Path) -> None:
    rows = [*ROWS[:1], ("#REF!", "B", "x"), *ROWS[2:]]
    text = "en\tde\tdoc\n" + "".join("\t".join(row) + "\n" for row in rows)
    (tmp_path / "t.tsv").write_text(text)
    source = WithoutFaultyRows(opened(Documents.COLUMN, "doc", path="t.tsv"), most=0.5)
    assert read_whole(source) == (list("acd"), list("ACD"), [0, 1, 2])


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        (Documents.BLANK_LINES, {"path": "t.tsv"}, "blank_lines has no meaning .* format tsv"),
        (Documents.COLUMN, {"path": "t.{lang}"}, "column has no meaning .* two text files"),
        (Documents.COLUMN, {"path": "t.tsv"}, "no column 'novel'.*set data.document_column"),
    ],
)
def test_impossible_boundaries_are_refused(
    kind: str, settings: dict[str, str], message: str, opened: Opened, tmp_path: Path
) -> None:
    _tsv(tmp_path / "t.tsv")
    _write(tmp_path, "t", "a\n", "A\n")
    with pytest.raises(UserError, match=message):
        read_whole(opened(kind, "novel" if kind == Documents.COLUMN else None, **settings))
