"""Documents in prepared corpora: context survives filters, chunks, held-out parts and the cache."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nmt.config.data import FilesDataConfig
from nmt.config.filter_settings import FiltersConfig
from nmt.config.source_settings import SourceConfig
from nmt.config.tokenizer_settings import TokenizerConfig
from nmt.data.corpus import ParallelText, split_sources
from nmt.data.encoded_context import ContextEncoder
from nmt.data.held_out import HeldOut, divide_documents
from nmt.data.preparation import build_prepared, encode_training_text, prepared_corpus
from nmt.data.preparation.prepared_corpus import PreparedCorpus
from nmt.data.sources.open_source import read_whole
from nmt.data_check.preparation_report import PreparationReporter
from nmt.decoding.document_search import with_context
from nmt.errors import UserError
from nmt.text.sentence_context import ContextSize
from nmt.text.tokenizer import TokenizerPair, train_tokenizers

WORDS = ["one", "two", "three", "four", "five"]


def _documents(count: int) -> list[list[str]]:
    """Documents of one to four sentences, which are all different."""
    return [[f"{WORDS[n % 5]} {WORDS[i]} d{n}" for i in range(1 + n % 4)] for n in range(count)]


def _write(folder: Path, split: str, documents: list[list[str]]) -> None:
    for language in ("en", "de"):
        texts = ["".join(f"{line} {language}\n" for line in one) for one in documents]
        (folder / f"{split}.{language}").write_text("\n".join(texts))


Prepared = Callable[..., PreparedCorpus]


@pytest.fixture
def prepared(tmp_path: Path, tokenizer_config: Callable[..., TokenizerConfig]) -> Prepared:
    _write(tmp_path, "train", _documents(20))
    _write(tmp_path, "valid", _documents(3))

    def prepare(**changes: Any) -> PreparedCorpus:
        settings: dict[str, Any] = dict(
            source_language="en",
            target_language="de",
            train=SourceConfig(path=str(tmp_path / "train.{lang}")),
            valid=SourceConfig(path=str(tmp_path / "valid.{lang}")),
            test=None,
            documents="blank_lines",
            context_sentences=1,
            max_length=100,
            cache_dir=str(tmp_path / "cache"),
        )
        data = FilesDataConfig(**settings | changes)
        tokenizer = tokenizer_config(name="bpe", vocab_size=40, joint=True)
        return prepared_corpus.prepare(data, tokenizer, PreparationReporter(data))

    return prepare


def _texts(corpus: PreparedCorpus) -> list[str]:
    decode = corpus.tokenizers.source.decode
    rows = [corpus.train.source[i].tolist() for i in range(len(corpus.train))]
    return [" ".join(decode(row).replace("<brk>", " <brk> ").split()) for row in rows]


def _expected(documents: list[list[str]], k: int) -> list[str]:
    return [
        " <brk> ".join(f"{s} en" for s in one[max(0, i - k) : i + 1])
        for one in documents
        for i in range(len(one))
    ]


@pytest.mark.parametrize("k", [1, 2])
def test_training_text_has_the_previous_sentences_of_its_document(
    k: int, prepared: Prepared
) -> None:
    corpus = prepared(context_sentences=k)
    assert _texts(corpus) == _expected(_documents(20), k)
    targets = corpus.train.target
    decoded = [corpus.tokenizers.target.decode(targets[i].tolist()) for i in range(len(targets))]
    assert not any("<brk>" in text for text in decoded)  # the target has no context


def test_both_sides_have_context_if_it_is_asked_for(prepared: Prepared) -> None:
    corpus = prepared(context_sentences=2, context_targets=1)
    separator = corpus.tokenizers.target.symbols["<brk>"]
    counts = [
        [int((side[i] == separator).sum()) for i in range(len(side))]
        for side in (corpus.train.source, corpus.train.target)
    ]
    places = [i for one in _documents(20) for i in range(len(one))]
    assert counts == [[min(2, i) for i in places], [min(1, i) for i in places]]


@pytest.mark.parametrize("size", [1, 3, 7])
def test_chunks_do_not_change_the_context(
    size: int, prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = prepared(context_sentences=2, context_targets=2)
    for module in (encode_training_text, build_prepared, prepared_corpus):
        monkeypatch.setattr(module, "CHUNK", size)
    settings = {"context_sentences": 2, "context_targets": 2}
    pieces = prepared(**settings, cache_dir=str(tmp_path / "other"))
    for side in ("source", "target"):
        one, other = getattr(whole.train, side), getattr(pieces.train, side)
        np.testing.assert_array_equal(one.ids, other.ids)
        np.testing.assert_array_equal(one.offsets, other.offsets)


def test_a_pair_that_a_filter_drops_is_still_context(prepared: Prepared, tmp_path: Path) -> None:
    documents = [["one", "one four one four", "three"], ["four"]]
    _write(tmp_path, "train", documents * 5)
    corpus = prepared(filters=FiltersConfig(max_words=4))
    assert _texts(corpus)[:3] == ["one en", "one four one four en <brk> three en", "four en"]


def test_the_cache_knows_the_documents_and_their_context(prepared: Prepared) -> None:
    first = prepared()
    assert prepared().from_cache
    folders = {
        prepared(**changes).folder
        for changes in (
            {},
            {"context_sentences": 2},
            {"context_targets": 1},
            {"documents": "files"},
            {"context_sentences": 0},
            {"context_sentences": 0, "documents": "none"},
        )
    }
    assert len(folders) == 6
    assert first.folder in folders
    assert "<brk>" not in prepared(context_sentences=0).tokenizers.source.symbols


def test_context_that_is_too_long_is_left_out_and_the_pair_is_kept(prepared: Prepared) -> None:
    longest = int(prepared(context_sentences=0).train.source.lengths.max())
    corpus = prepared(context_sentences=3, max_length=2 * longest)
    assert len(corpus.train) == sum(map(len, _documents(20)))
    assert corpus.train.source.lengths.max() <= 2 * longest
    assert all(text.endswith(" en") for text in _texts(corpus))


@pytest.fixture
def pair(tokenizer_config: Callable[..., TokenizerConfig]) -> TokenizerPair:
    texts = [s for one in _documents(20) for s in one]
    config = tokenizer_config(
        name="bpe", vocab_size=40, joint=True, symbols=["<2de>", "<2fr>", "<brk>"]
    )
    return train_tokenizers(config, texts, texts)


@pytest.mark.parametrize("limit", [100, 14, 7])
def test_search_joins_sentences_as_training_does(limit: int, pair: TokenizerPair) -> None:
    texts = [s for one in _documents(20) for s in one]
    texts = [f"<2de> {s}" if i % 3 == 0 else s for i, s in enumerate(texts)]
    texts[9] = ""
    numbers = [n for n, one in enumerate(_documents(20)) for _ in one]
    size = ContextSize(2, 0, limit)
    encoded = ContextEncoder(pair, size).encode(ParallelText(texts, texts, documents=numbers))
    joined = pair.source.encode_all(with_context(pair, size, texts, numbers))
    assert [encoded.source[i].tolist() for i in range(len(texts))] == joined


def test_a_blank_sentence_ends_a_document_of_lines(pair: TokenizerPair) -> None:
    size = ContextSize(1, 0, 100)
    lines = ["one", "two", "", "three", "four", "x <brk> five", "one"]
    assert with_context(pair, size, lines, None) == [
        *("one", "one <brk> two", "", "three", "three <brk> four"),
        *("x <brk> five", "five <brk> one"),
    ]


def test_words_are_counted_over_the_separator(pair: TokenizerPair) -> None:
    text = "one two <brk> three four"
    ids, words = pair.source.encode_words(text)
    assert ids == pair.source.encode(text)
    assert sorted(set(words)) == [0, 1, 2, 3, 4]
    assert ids[words.index(2)] == pair.source.symbols["<brk>"]


def test_held_out_parts_are_whole_documents(tmp_path: Path) -> None:
    documents = _documents(200)
    documents[7] = documents[150] = ["five one", "six"]  # equal documents
    _write(tmp_path, "all", documents)
    data = FilesDataConfig(
        source_language="en",
        target_language="de",
        train=SourceConfig(path=str(tmp_path / "all.{lang}")),
        valid=SourceConfig(held_out=50),
        test=SourceConfig(held_out=0.1),
        documents="blank_lines",
    )
    parts = {name: read_whole(source) for name, source in split_sources(data).items()}
    sizes = {name: len(part[0]) for name, part in parts.items()}
    assert 50 <= sizes["valid"] < 54
    assert 0.1 * sum(sizes.values()) <= sizes["test"]
    assert sum(sizes.values()) == sum(map(len, documents))
    found = [
        (name, tuple(s for s, n in zip(part[0], part[2] or [], strict=True) if n == number))
        for name, part in parts.items()
        for number in dict.fromkeys(part[2] or [])
    ]
    whole = [tuple(f"{s} en" for s in one) for one in documents]
    assert sorted(document for _, document in found) == sorted(whole)
    assert len({name for name, document in found if document == whole[7]}) == 1


def test_one_long_document_is_not_held_out() -> None:
    hashes = np.arange(1, 101, dtype=np.uint64)
    numbers = np.array([0] * 90 + list(range(1, 11)))
    parts = divide_documents(hashes, hashes, numbers, HeldOut(5, 5, 1))
    assert not parts[:90].any()
    assert sorted(parts[90:]) == [1] * 5 + [2] * 5
    with pytest.raises(UserError, match="11 documents .* too few or too long"):
        divide_documents(hashes, hashes, numbers, HeldOut(8, 5, 1))
