"""The bounds of the vocabulary are exact: SentencePiece accepts no size outside."""

import os
import re
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.config.tokenizer_settings import Normalization, TokenizerConfig
from nmt.errors import UserError
from nmt.text import train_model
from nmt.text.model_file import ModelFile
from nmt.text.normalization import composition_table
from nmt.text.tokenizer import train_tokenizers
from nmt.text.vocabulary import count_parts, count_words, vocabulary_bounds

Train = Callable[..., bytes]
Config = Callable[..., TokenizerConfig]

LETTERS = "aaabbc<2de>éß漢字 \u2581\u00a0\u200b\ufb01\t\x1f\u0301\u0600"
CORPORA = st.lists(st.text(st.sampled_from(LETTERS), max_size=12), min_size=1, max_size=8)
NORMALIZATIONS = st.sampled_from([*Normalization])


def _size(model: bytes) -> int:
    return len(ModelFile.parse(model).pieces)


def _settings(config: TokenizerConfig) -> dict[str, Any]:
    symbols = dict(user_defined_symbols=config.symbols) if config.symbols else {}
    return dict(
        model_type=config.name,
        byte_fallback=config.byte_fallback,
        character_coverage=config.character_coverage,
        **_normalization(config),
        hard_vocab_limit=config.name in ("bpe", "unigram"),
        **symbols,
    )


def _normalization(config: TokenizerConfig) -> dict[str, str]:
    if config.normalization != "nfc":
        return {"normalization_rule_name": config.normalization}
    file = Path(tempfile.gettempdir()) / f"nfc-{os.getpid()}.tsv"
    file.write_text(composition_table(), encoding="utf-8")
    return {"normalization_rule_tsv": str(file)}


@pytest.mark.parametrize("name", ["unigram", "bpe", "char", "word"])
@settings(max_examples=25, deadline=None)
@given(
    sentences=CORPORA.filter(lambda lines: any(set(line) & set("abc") for line in lines)),
    byte_fallback=st.booleans(),
    symbols=st.sampled_from([[], ["<2de>"], ["ab", "<2de>"]]),
    coverage=st.sampled_from([1.0, 0.98]),
    normalization=NORMALIZATIONS,
)
def test_sentencepiece_rejects_sizes_outside_the_range(
    name: str,
    sentences: list[str],
    byte_fallback: bool,
    symbols: list[str],
    coverage: float,
    normalization: str,
    tokenizer_config: Config,
    sentencepiece_model: Train,
) -> None:
    config = tokenizer_config(
        name=name,
        byte_fallback=byte_fallback,
        symbols=symbols,
        character_coverage=coverage,
        normalization=normalization,
    )
    least, most = vocabulary_bounds(config, sentences)
    made = _settings(config)
    with pytest.raises(RuntimeError):
        sentencepiece_model(sentences, vocab_size=least - 1, **made)
    if name in ("char", "word"):
        assert _size(sentencepiece_model(sentences, vocab_size=most + 7, **made)) == most
        return
    assert _size(sentencepiece_model(sentences, vocab_size=least, **made)) == least
    with pytest.raises(RuntimeError):
        sentencepiece_model(sentences, vocab_size=most + 1, **made)


@pytest.mark.parametrize("name", ["bpe", "char", "word"])
@settings(max_examples=15, deadline=None)
@given(
    sentences=CORPORA.filter(lambda lines: any("a" in line for line in lines)),
    normalization=NORMALIZATIONS,
)
def test_counted_words_give_the_model_that_the_sentences_give(
    name: str,
    sentences: list[str],
    normalization: str,
    tokenizer_config: Config,
    sentencepiece_model: Train,
) -> None:
    config = tokenizer_config(name=name, normalization=normalization, symbols=["<2de>"])
    least, _ = vocabulary_bounds(config, sentences)
    config.vocab_size = least
    made = train_tokenizers(config, sentences, sentences).source.to_bytes()
    expected = sentencepiece_model(sentences, vocab_size=least, **_settings(config))
    assert ModelFile.parse(made).pieces == ModelFile.parse(expected).pieces


def test_lines_that_sentencepiece_skips_do_not_count(tokenizer_config: Config) -> None:
    config = tokenizer_config(name="char")
    lines = ["ab", "skipped \u2585", "x" * 70_000]
    assert vocabulary_bounds(config, lines) == (4, 4 + len("\u2581ab"))


@pytest.mark.parametrize("name", ["unigram", "bpe"])
def test_a_size_too_large_for_the_text_is_refused_before_training(
    name: str, tokenizer_config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_model, "_QUICK", {})
    monkeypatch.setattr(train_model, "_QUICK_OTHERWISE", 1)
    monkeypatch.setattr(train_model.sentencepiece, "SentencePieceTrainer", None)
    text = ["some words here", "and some there"]
    _, most = vocabulary_bounds(tokenizer_config(name=name), text)
    for size, remedy in ((5, r"\d+ or more"), (most + 1, f"{most} or less")):
        config = tokenizer_config(name=name, vocab_size=size)
        with pytest.raises(UserError, match=rf"tokenizer.vocab_size={size} .* {remedy}"):
            train_tokenizers(config, text, text)


@pytest.mark.parametrize("often", [1, 2])
@given(sentences=CORPORA)
def test_substrings_are_counted_exactly(often: int, sentences: list[str]) -> None:
    words = count_words(sentences)
    counts: Counter[str] = Counter()
    for word, count in words.items():
        for run in re.findall("[abc\u00e9]+", word):
            for size in range(2, 17):
                for start in range(len(run) - size + 1):
                    counts[run[start : start + size]] += count
    expected = sum(count >= often for count in counts.values())
    assert count_parts(words, "abc\u00e9", often) == expected


@pytest.mark.parametrize("joint", [True, False])
def test_bpe_cannot_have_more_pieces_than_its_merges_create(
    joint: bool, tokenizer_config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = Random(1)
    words = {"".join(random.choices("abcdefghijklmnop", k=12)) for _ in range(21_000)}
    text = sorted(words)
    pairs = 16 * 17 + sum(2 * len(f"_{word}") - 5 for word in words)
    config = tokenizer_config(name="bpe", vocab_size=pairs + 300, joint=joint)
    monkeypatch.setattr(train_model.sentencepiece, "SentencePieceTrainer", None)
    with pytest.raises(UserError, match=r"more than the (corpus|source side) can provide"):
        train_tokenizers(config, text, text)


def test_text_without_words_is_refused(tokenizer_config: Config) -> None:
    with pytest.raises(UserError, match="the source side has no words"):
        train_tokenizers(tokenizer_config(), ["", " "], ["a"])


def test_text_is_read_only_once(tokenizer_config: Config) -> None:
    text = ["one two three", "two three four"]
    config = tokenizer_config(name="word", joint=True)
    once = train_tokenizers(config, iter(text), iter(text))
    assert once.source.to_bytes() == train_tokenizers(config, text, text).source.to_bytes()
