"""Symbols are never split; at the beginning of a sentence they are tags."""

from collections.abc import Callable
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.config.tokenizer_settings import TokenizerConfig
from nmt.text.model_file import NORMAL, ModelFile, Piece
from nmt.text.symbols import Symbols
from nmt.text.tokenizer import Tokenizer, train_tokenizers

SYMBOLS = ["<2de>", "<2fr>", "ab", "__NAME__"]
SENTENCES = [
    "the cat and the bacon are back",
    "a b ba cab <2 2de> de> <bt> NAME __ de",
    "xa by xa by xay <2d e> 漢字 é",
]
KINDS = ["unigram", "bpe", "char", "word"]
WORDS = st.sampled_from(["the", "cat", "xaby", "b", "NAME", "<2", "de>", "é", "漢字", *SYMBOLS])
GLUED = st.lists(WORDS, min_size=1, max_size=4).map("".join)
TEXT = st.lists(GLUED, max_size=5).map(" ".join)
TAGS = st.lists(st.sampled_from(SYMBOLS), min_size=1, max_size=3)

Make = Callable[[str], Tokenizer]


@pytest.fixture(scope="module")
def make(tokenizer_config: Callable[..., TokenizerConfig]) -> Make:
    @cache
    def tokenizer(kind: str) -> Tokenizer:
        byte_fallback = kind != "word"
        config = tokenizer_config(
            name=kind,
            vocab_size={"unigram": 300, "word": 60}.get(kind, 310),
            joint=True,
            byte_fallback=byte_fallback,
            symbols=SYMBOLS,
            normalization="nmt_nfkc",
        )
        return train_tokenizers(config, SENTENCES, SENTENCES).source

    return tokenizer


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=50, deadline=None)
@given(tags=TAGS, text=TEXT)
def test_tags_come_first_and_the_rest_is_encoded_separately(
    kind: str, tags: list[str], text: str, make: Make
) -> None:
    tokenizer = make(kind)
    ids = [tokenizer.symbols[tag] for tag in tags]
    assert tokenizer.pieces(ids) == tags
    tagged = " ".join([*tags, text] if text else tags)
    assert tokenizer.encode(tagged) == ids + tokenizer.encode(text)
    assert tokenizer.encode(tagged.replace(" ", "  ")) == tokenizer.encode(tagged)
    encoded, numbers = tokenizer.encode_words(tagged)
    assert encoded == ids + tokenizer.encode(text)
    assert numbers[: len(tags)] == list(range(len(tags)))
    expected = [len(tags) + number for number in tokenizer.encode_words(text)[1]]
    assert numbers[len(tags) :] == expected


@pytest.mark.parametrize("kind", ["unigram", "bpe", "char"])
@settings(max_examples=40, deadline=None)
@given(text=TEXT)
def test_text_round_trips_and_symbols_are_single_pieces(kind: str, text: str, make: Make) -> None:
    tokenizer = make(kind)
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    pieces = tokenizer.pieces(ids)
    for symbol in SYMBOLS:
        assert pieces.count(symbol) == text.count(symbol)


@settings(max_examples=50, deadline=None)
@given(words=st.lists(st.sampled_from(["the", "cat", "are", *SYMBOLS]), max_size=6))
def test_words_with_symbols_round_trip(words: list[str], make: Make) -> None:
    tokenizer = make("word")
    ids = tokenizer.encode(" ".join(words))
    assert len(ids) == len(words)
    assert tokenizer.decode(ids) == " ".join(words)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25, deadline=None)
@given(sentences=st.lists(TEXT, max_size=6), threads=st.sampled_from([1, 2]))
def test_a_batch_of_texts_is_encoded_like_single_texts(
    kind: str, sentences: list[str], threads: int, make: Make
) -> None:
    tokenizer = make(kind)
    expected = [tokenizer.encode(sentence) for sentence in sentences]
    assert tokenizer.encode_all(sentences, num_threads=threads) == expected
    ids, lengths = tokenizer.encode_flat(sentences, num_threads=threads)
    assert (ids.dtype, lengths.dtype) == ("int32", "int64")
    assert lengths.tolist() == [len(one) for one in expected]
    assert ids.tolist() == [piece for one in expected for piece in one]


def test_a_symbol_is_not_split_if_its_halves_are_more_probable(make: Make) -> None:
    parts = ModelFile.parse(make("unigram").to_bytes())
    parts.pieces += [Piece("x__NA", 0.0, NORMAL), Piece("ME__y", 0.0, NORMAL)]
    tokenizer = Tokenizer(parts.to_bytes())
    assert "__NAME__" in tokenizer.pieces(tokenizer.encode("x__NAME__y"))
    assert tokenizer.decode(tokenizer.encode("x__NAME__y")) == "x__NAME__y"


def test_only_a_symbol_at_the_beginning_followed_by_a_space_is_a_tag(make: Make) -> None:
    tokenizer = make("bpe")
    for sentence in ("the <2de>", "<2de>the"):
        pieces = tokenizer.pieces(tokenizer.encode(sentence))
        assert "<2de>" in pieces
        assert pieces[0] != "<2de>"
    assert tokenizer.pieces(tokenizer.encode(" <2de> ")) == ["<2de>"]


def test_the_longest_symbol_wins() -> None:
    symbols = Symbols({"<2": 4, "<2de>": 5, "\u2581x": 6})
    assert dict(symbols.ids) == {"<2": 4, "<2de>": 5}
    assert symbols.split_tags("<2de> <2 x") == ([5, 4], "x")
    assert (
        symbols.hide("a<2de><2b")
        == f"a{symbols.placeholders['<2de>']}{symbols.placeholders['<2']}b"
    )
    assert symbols.hide(symbols.placeholders["<2"]) == "\ufffd"


@pytest.mark.parametrize("kind", ["bpe", "char"])
def test_text_between_symbols_is_encoded_as_by_sentencepiece(
    kind: str, tokenizer_config: Callable[..., TokenizerConfig]
) -> None:
    """The pieces around a symbol are the same as without symbols in the vocabulary."""
    plain = tokenizer_config(name=kind, vocab_size=310, joint=True, byte_fallback=True)
    with_symbols = tokenizer_config(
        name=kind, vocab_size=311, joint=True, byte_fallback=True, symbols=["<x>"]
    )
    before = train_tokenizers(plain, SENTENCES, SENTENCES).source
    after = train_tokenizers(with_symbols, SENTENCES, SENTENCES).source
    for sentence in SENTENCES:
        assert after.pieces(after.encode(sentence)) == before.pieces(before.encode(sentence))
        pieces = after.pieces(after.encode(f"{sentence} <x> {sentence}"))
        half = before.pieces(before.encode(sentence))
        assert pieces == [*half, "\u2581", "<x>", *half]
