"""Kept pairs are encoded in order, for any chunk size; text that changes meanwhile is noticed."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nmt.config.data import FilesDataConfig
from nmt.config.plain import from_mapping
from nmt.config.source_settings import SourceConfig
from nmt.config.tokenizer_settings import TokenizerConfig
from nmt.data.corpus import TrainingSource
from nmt.data.preparation import build_prepared, prepared_corpus
from nmt.data.preparation import encode_training_text as encoding
from nmt.data.preparation.encode_training_text import kept_text
from nmt.data.preparation.prepared_corpus import PreparedCorpus
from nmt.data.sources.open_source import open_source
from nmt.data_check.preparation_report import PreparationReporter
from nmt.errors import UserError

WORDS = ["one", "two", "three", "four"]


@pytest.fixture
def data(tmp_path: Path) -> FilesDataConfig:
    for split, pairs in (("train", 60), ("more", 20), ("valid", 3)):
        for side, language in enumerate(("en", "de")):
            lines = (
                " ".join(WORDS[(i * (k + 2) + side) % 4] for k in range(i % 5 + side * (i % 3)))
                for i in range(pairs)
            )
            (tmp_path / f"{split}.{language}").write_text("".join(f"{line}\n" for line in lines))
    return from_mapping(
        FilesDataConfig,
        {
            "name": "files",
            "train": {"path": str(tmp_path / "train.{lang}")},
            "valid": {"path": str(tmp_path / "valid.{lang}")},
            "test": None,
            "extra": {"more": {"path": str(tmp_path / "more.{lang}"), "tag": "<more>"}},
            "source_language": "en",
            "target_language": "de",
            "max_length": 9,
            "cache_dir": str(tmp_path / "cache"),
        },
    )


@pytest.fixture
def prepared(
    data: FilesDataConfig, tokenizer_config: Callable[..., TokenizerConfig]
) -> Callable[..., PreparedCorpus]:
    tokenizer = tokenizer_config(name="bpe", vocab_size=24, symbols=["<more>"])

    def prepare(**changes: Any) -> PreparedCorpus:
        changed = replace(data, **changes)
        return prepared_corpus.prepare(changed, tokenizer, PreparationReporter(changed))

    return prepare


def _texts(corpus: PreparedCorpus, side: str) -> list[str]:
    tokenizer, sequences = getattr(corpus.tokenizers, side), getattr(corpus.train, side)
    return [tokenizer.decode(sequences[i].tolist()) for i in range(len(sequences))]


def test_the_kept_pairs_are_in_order_source_after_source(
    prepared: Callable[..., PreparedCorpus], tmp_path: Path
) -> None:
    corpus = prepared()
    sections, texts = corpus.train.sections, _texts(corpus, "source")
    assert sum(sections) == len(corpus.train) == len(texts)
    tokenizers = corpus.tokenizers
    expected, counts = [], []
    for split, tag in (("train", ""), ("more", "<more> ")):
        sides = (
            (tmp_path / f"{split}.{language}").read_text().splitlines() for language in ("en", "de")
        )
        kept = [
            (f"{tag}{source}", target)
            for source, target in zip(*sides, strict=True)
            if source
            and target
            and len(tokenizers.source.encode(f"{tag}{source}")) <= 9
            and len(tokenizers.target.encode(target)) <= 9
        ]
        expected += kept
        counts.append(len(kept))
    assert sections == tuple(counts)
    assert list(zip(texts, _texts(corpus, "target"), strict=True)) == expected


def test_a_tag_is_one_piece_in_front(prepared: Callable[..., PreparedCorpus]) -> None:
    corpus = prepared()
    tag = corpus.tokenizers.source.encode("<more>")
    assert len(tag) == 1
    first = corpus.train.sections[0]
    assert all(corpus.train.source[i][0] == tag[0] for i in range(first, len(corpus.train)))
    assert all(tag[0] not in corpus.train.source[i] for i in range(first))


@pytest.mark.parametrize("size", [1, 7])
def test_the_chunk_size_does_not_change_the_result(
    size: int,
    prepared: Callable[..., PreparedCorpus],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = prepared()
    for module in (encoding, build_prepared, prepared_corpus):
        monkeypatch.setattr(module, "CHUNK", size)
    pieces = prepared(cache_dir=str(tmp_path / "other"))
    assert pieces.tokenizers.source.to_bytes() == whole.tokenizers.source.to_bytes()
    assert pieces.dropped.to_mapping() == whole.dropped.to_mapping()
    for side in ("source", "target"):
        one, other = getattr(pieces.train, side), getattr(whole.train, side)
        np.testing.assert_array_equal(one.ids, other.ids)
        np.testing.assert_array_equal(one.offsets, other.offsets)


def test_dropped_pairs_can_be_read(prepared: Callable[..., PreparedCorpus], tmp_path: Path) -> None:
    table = tmp_path / "dropped.tsv"
    corpus = prepared(dropped=str(table))
    rows = [line.split("\t") for line in table.read_text().splitlines()[1:]]
    assert len(rows) == corpus.dropped.dropped > 0
    for rule, file, line, source, target in rows:
        number = int(line) - 1
        stem = Path(file).with_suffix("")
        texts = [
            stem.with_suffix(f".{language}").read_text().splitlines()[number]
            for language in ("en", "de")
        ]
        assert [source, target] == texts  # without the tag, as in the file
        assert rule == ("too_long" if source and target else "blank")


@pytest.mark.parametrize("change", [-1, 1])
def test_a_text_that_changes_while_it_is_read_is_noticed(change: int, tmp_path: Path) -> None:
    for language in ("en", "de"):
        (tmp_path / f"t.{language}").write_text("a\nb\nc\n")
    config = SourceConfig(path=str(tmp_path / "t.{lang}"))
    source = TrainingSource("data.train", open_source(config, ("en", "de"), "data.train"))
    verdicts = np.zeros(3 + change, dtype=np.uint8)
    with pytest.raises(UserError, match=r"data\.train.* changed while it was read"):
        list(kept_text(source, verdicts))


def test_the_name_of_a_file_does_not_change_the_cache(
    prepared: Callable[..., Any], data: FilesDataConfig, tmp_path: Path
) -> None:
    assert not prepared().from_cache
    for language in ("en", "de"):
        (tmp_path / f"train.{language}").rename(tmp_path / f"renamed.{language}")
    renamed = replace(data.train, path=str(tmp_path / "renamed.{lang}"))
    assert prepared(train=renamed).from_cache
