"""Datasets by name or folder: every storage format gives the same pairs."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nmt.config.source_settings import SourceConfig
from nmt.data.sources.open_source import open_source
from nmt.errors import UserError

Read = Callable[..., Any]

PAIRS = [("a", "A"), ("b", "B"), ("c", "C"), ("d", "D")]
FLAT = [{"en": source, "de": target} for source, target in PAIRS]
NESTED = [{"id": n, "translation": pair} for n, pair in enumerate(FLAT)]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets-cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)


def _folder(path: Path, rows: list[dict[str, Any]], kind: str) -> Path:
    import datasets

    path.mkdir()
    table = datasets.Dataset.from_list(rows)
    match kind:
        case "jsonl":
            (path / "train.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        case "parquet":
            table.to_parquet(path / "train.parquet")
        case "saved":
            table.save_to_disk(path)
        case "saved splits":
            datasets.DatasetDict({"train": table, "test": table.select([0])}).save_to_disk(path)
    return path


def _open(dataset: Path | str, **settings: Any) -> Any:
    config = SourceConfig(dataset=str(dataset), **settings)
    return open_source(config, ("en", "de"), "data.train")


@pytest.mark.parametrize("kind", ["jsonl", "parquet", "saved", "saved splits"])
@pytest.mark.parametrize("rows", [FLAT, NESTED], ids=["flat", "nested"])
def test_a_folder_made_like_a_dataset(
    tmp_path: Path, read: Read, kind: str, rows: list[dict[str, Any]]
) -> None:
    source = _open(_folder(tmp_path / "set", rows, kind))
    reading = read(source)
    assert reading.pairs == PAIRS
    assert reading.lines == [1, 2, 3, 4]
    assert not reading.faults


def test_streaming_reads_the_same_in_the_same_order(tmp_path: Path, read: Read) -> None:
    folder = _folder(tmp_path / "set", NESTED, "jsonl")
    source = _open(folder, streaming=True)
    assert read(source).pairs == read(source).pairs == PAIRS
    assert source.fingerprint() == _open(folder).fingerprint()


def test_columns_and_splits_by_name(tmp_path: Path, read: Read) -> None:
    rows = [{"q": source, "r": target} for source, target in PAIRS]
    folder = _folder(tmp_path / "set", rows, "saved splits")
    source = _open(folder, split="test", source_column="q", target_column="r")
    assert read(source).pairs == PAIRS[:1]
    assert source.name == f"{folder}, split 'test'"
    with pytest.raises(UserError, match="no split 'dev'; its splits are train, test"):
        read(_open(folder, split="dev"))


def test_the_fingerprint_is_of_the_rows(tmp_path: Path) -> None:
    folders = {
        name: _folder(tmp_path / name, rows, kind)
        for name, rows, kind in (
            ("a", FLAT, "jsonl"),
            ("b", NESTED, "parquet"),
            ("c", FLAT[::-1], "jsonl"),
            ("d", FLAT[:3], "jsonl"),
        )
    }
    prints = {name: _open(folder).fingerprint() for name, folder in folders.items()}
    assert prints["a"] == prints["b"]
    assert len(set(prints.values())) == 3


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"en": "a", "fr": "b"}], "no column 'de'; its columns are en | fr"),
        ([{"translation": {"en": "a", "fr": "b"}}], "no pairs of en and de"),
        ([{"en": "a", "de": "b"}, {"en": "a", "de": None}], "row 2 is not a pair of texts"),
        ([{"en": "a", "de": " "}], "contains no text in any target sentence"),
    ],
)
def test_faults_have_messages(tmp_path: Path, rows: list[dict[str, Any]], message: str) -> None:
    source = _open(_folder(tmp_path / "set", rows, "jsonl"))
    with pytest.raises(UserError, match=message):
        list(source.chunks(10))


def test_a_row_without_text_is_skipped(tmp_path: Path, read: Read) -> None:
    rows = [FLAT[0], {"en": "x", "de": None}, FLAT[1]]
    reading = read(_open(_folder(tmp_path / "set", rows, "jsonl")))
    assert reading.lines == [1, 3]
    assert reading.rules == ["not_text"]


def test_a_dataset_that_cannot_be_had_is_named() -> None:
    expected = r"no-such/dataset.*split 'train'.*local copy with data\.train\.dataset=FOLDER"
    with pytest.raises(UserError, match=expected):
        list(_open("no-such/dataset").chunks(10))


def test_a_lack_of_memory_is_no_fault_of_the_dataset(
    tmp_path: Path, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    def exhausted(*_: Any, **__: Any) -> None:
        raise MemoryError

    folder = _folder(tmp_path / "corpus", FLAT, "jsonl")
    for owner, name in ((datasets.Dataset, "iter"), (datasets, "load_dataset")):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, exhausted)
            with pytest.raises(MemoryError):
                read(_open(folder))
