"""Corpora from files, the phrasebook, and datasets by name or folder."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from nmt.config.data import DataConfig, HuggingFaceDataConfig
from nmt.config.plain import from_mapping
from nmt.data.corpus import ParallelText, TrainingSource, open_corpus
from nmt.data.sources.open_source import read_all
from nmt.errors import UserError

ROWS = {
    "train": [("a man", "ein Mann"), ("a dog\u2028runs", "ein Hund läuft")],
    "validation": [("a cat", "eine Katze")],
    "test": [("two cats", "zwei Katzen")],
}
STEMS = {"train": "train", "validation": "val", "test": "test_2016_flickr"}

Hub = Callable[..., HuggingFaceDataConfig]


@pytest.fixture
def hub() -> Hub:
    """Settings like those of `data=multi30k`."""

    def make(
        root: Path | None = None, path: str = "someone/multi30k", languages: str = "en-de"
    ) -> HuggingFaceDataConfig:
        source, target = languages.split("-")
        return from_mapping(
            HuggingFaceDataConfig,
            {
                "name": "huggingface",
                "path": path,
                "subset": None,
                "splits": {"train": "train", "valid": "validation", "test": "test"},
                "root": None if root is None else str(root),
                "stems": {"train": "train", "valid": "val", "test": "test_2016_flickr"},
                "source_language": source,
                "target_language": target,
                "max_length": 100,
                "cache_dir": None,
            },
        )

    return make


@pytest.fixture(autouse=True)
def _datasets_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets-cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)


def _write_stems(folder: Path, *, zipped: bool) -> None:
    for split, rows in ROWS.items():
        for side, language in enumerate(("en", "de")):
            content = "".join(f"{row[side]}\n" for row in rows).encode()
            if zipped:
                (folder / f"{STEMS[split]}.{language}.gz").write_bytes(gzip.compress(content))
            else:
                (folder / f"{STEMS[split]}.{language}").write_bytes(content)


def _write_json(folder: Path, *, nested: bool, valid: str = "validation") -> None:
    for split, rows in ROWS.items():
        pairs = [{"en": en, "de": de} for en, de in rows]
        lines = [json.dumps({"translation": pair} if nested else pair) for pair in pairs]
        name = valid if split == "validation" else split
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")


def _text(sources: tuple[TrainingSource, ...]) -> ParallelText:
    (source,) = sources
    return ParallelText(*read_all(source.pairs))


def _read(data: DataConfig) -> None:
    _text(open_corpus(data).train)


def _check(data: HuggingFaceDataConfig, *, swapped: bool = False) -> None:
    corpus = open_corpus(data)
    for split, rows in (
        (_text(corpus.train), ROWS["train"]),
        (corpus.valid, ROWS["validation"]),
        (corpus.test, ROWS["test"]),
    ):
        assert split is not None
        pairs = list(zip(split.source, split.target, strict=True))
        assert pairs == [row[::-1] if swapped else row for row in rows]


@pytest.mark.parametrize("zipped", [False, True])
def test_a_folder_of_text_files_by_stem(hub: Hub, tmp_path: Path, zipped: bool) -> None:
    _write_stems(tmp_path, zipped=zipped)
    _check(hub(tmp_path))
    _check(hub(tmp_path, languages="de-en"), swapped=True)


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("valid", ["validation", "val", "valid"])
def test_a_folder_of_json_lines(hub: Hub, tmp_path: Path, nested: bool, valid: str) -> None:
    _write_json(tmp_path, nested=nested, valid=valid)
    _check(hub(tmp_path))
    _check(hub(tmp_path, languages="de-en"), swapped=True)


def test_a_dataset_by_path(hub: Hub, tmp_path: Path) -> None:
    _write_json(tmp_path, nested=False)
    files = "".join(f"  - split: {split}\n    path: {split}.jsonl\n" for split in ROWS)
    card = f"---\nconfigs:\n- config_name: default\n  data_files:\n{files}---\n"
    (tmp_path / "README.md").write_text(card)
    _check(hub(path=str(tmp_path)))
    _check(hub(path=str(tmp_path), languages="de-en"), swapped=True)


def test_a_missing_language_is_reported_with_the_existing_ones(hub: Hub, tmp_path: Path) -> None:
    _write_json(tmp_path, nested=False)
    with pytest.raises(UserError, match=r"no column 'fr'; its columns are .*de"):
        _read(hub(tmp_path, languages="en-fr"))


def test_missing_pairs_of_a_translation_column_are_refused(hub: Hub, tmp_path: Path) -> None:
    _write_json(tmp_path, nested=True)
    with pytest.raises(UserError, match="no pairs of en and fr"):
        _read(hub(tmp_path, languages="en-fr"))


@pytest.mark.parametrize("nested", [False, True])
def test_a_row_without_text_is_named(hub: Hub, tmp_path: Path, nested: bool) -> None:
    _write_json(tmp_path, nested=nested)
    pair = {"en": "one", "de": None}
    with (tmp_path / "train.jsonl").open("a") as file:
        file.write(json.dumps({"translation": pair} if nested else pair) + "\n")
    with pytest.raises(UserError, match="row 3 is not a pair of texts"):
        _read(hub(tmp_path))


def test_an_empty_split_is_refused(hub: Hub, tmp_path: Path) -> None:
    _write_json(tmp_path, nested=False)
    (tmp_path / "test.jsonl").write_text(json.dumps({"en": " ", "de": "x"}) + "\n")
    with pytest.raises(UserError, match="contains no text"):
        _read(hub(tmp_path))


def test_a_file_that_is_not_json_is_refused(hub: Hub, tmp_path: Path) -> None:
    _write_json(tmp_path, nested=False)
    (tmp_path / "train.jsonl").write_text("a man\tein Mann\n")
    with pytest.raises(UserError, match=r"train\.jsonl"):
        _read(hub(tmp_path))


def test_a_missing_split_of_a_json_folder_is_named(hub: Hub, tmp_path: Path) -> None:
    _write_json(tmp_path, nested=False)
    (tmp_path / "test.jsonl").unlink()
    with pytest.raises(UserError, match=r"test\.jsonl"):
        _read(hub(tmp_path))


def test_a_root_that_is_not_a_folder_is_refused(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data\.root=.*none is not a folder"):
        _read(hub(tmp_path / "none"))


def test_an_empty_root_names_the_file_that_is_missing(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"there is no file {tmp_path / 'train.en'}"):
        _read(hub(tmp_path))


def test_a_dataset_that_cannot_be_had_is_named(hub: Hub) -> None:
    with pytest.raises(UserError, match=r"no-such/dataset.*data\.root"):
        _read(hub(path="no-such/dataset"))


def test_files_are_read_split_by_split_and_the_test_may_be_missing(tmp_path: Path) -> None:
    _write_stems(tmp_path, zipped=False)
    files = {
        split: {"source": str(tmp_path / f"{stem}.en"), "target": str(tmp_path / f"{stem}.de")}
        for split, stem in STEMS.items()
    }
    data = from_mapping(
        DataConfig,
        {
            "name": "files",
            "train": files["train"],
            "valid": files["validation"],
            "test": None,
            "source_language": "en",
            "target_language": "de",
            "max_length": 100,
            "cache_dir": None,
        },
    )
    corpus = open_corpus(data)
    assert _text(corpus.train).target == [de for _, de in ROWS["train"]]
    assert corpus.valid.source == ["a cat"]
    assert corpus.test is None


def test_the_phrasebook_reads_both_ways() -> None:
    there, back = (
        open_corpus(
            from_mapping(
                DataConfig,
                {
                    "name": "phrasebook",
                    "source_language": source,
                    "target_language": target,
                    "max_length": 100,
                    "cache_dir": None,
                },
            )
        )
        for source, target in (("en", "de"), ("de", "en"))
    )
    assert _text(there.train).source == _text(back.train).target
    assert _text(there.train).target == _text(back.train).source
    assert there.test is not None
    assert len(there.valid) == len(there.test) == 500
