"""SentencePiece: round trips for every kind; the same text gives the same model."""

import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from nmt.config.tokenizer_settings import Normalization, TokenizerConfig
from nmt.errors import UserError
from nmt.text.special_tokens import BOS, EOS, PAD, UNK
from nmt.text.tokenizer import Tokenizer, TokenizerPair, train_tokenizers, word_groups

ENGLISH = [
    f"The {size} {thing} was {place} and it is quick."
    for size in ("big", "small", "old")
    for thing in ("house", "dog", "jumping fox")
    for place in ("here", "over there", "behind the lazy cat")
]
GERMAN = [
    f"{thing} ist {size} und für ältere Füchse süß."
    for size in ("groß", "klein", "alt")
    for thing in ("Das Haus", "Der Hund", "Ein Fuchs")
]
VOCABULARY = 305
SENTENCES = [
    "The big dog is here.",
    "Das große Haus ist schön, für Füchse.",
    "👍 emoji 🏳️‍🌈 and 漢字",
    'Quotes "here" & <tags>, 100 % {braces}',
    "ẞ und é",
]

Train = Callable[..., TokenizerPair]


@pytest.fixture
def train(tokenizer_config: Callable[..., TokenizerConfig]) -> Train:
    config = tokenizer_config(
        vocab_size=VOCABULARY, joint=True, byte_fallback=True, normalization="nmt_nfkc"
    )
    return lambda **changes: train_tokenizers(replace(config, **changes), ENGLISH, GERMAN)


@pytest.mark.parametrize("name", ["unigram", "bpe", "char"])
@pytest.mark.parametrize("sentence", SENTENCES)
def test_text_round_trips(train: Train, name: str, sentence: str) -> None:
    tokenizer = train(name=name).source
    ids = tokenizer.encode(sentence)
    assert tokenizer.decode(ids) == sentence
    assert ids
    assert not {PAD, UNK, BOS, EOS} & set(ids)


def test_without_byte_fallback_an_unseen_character_is_unknown(train: Train) -> None:
    tokenizer = train(byte_fallback=False, vocab_size=45).source
    assert UNK in tokenizer.encode("漢")


@pytest.mark.parametrize("name", ["unigram", "bpe"])
def test_a_tokenizer_round_trips_through_bytes(train: Train, name: str) -> None:
    before = train(name=name).source
    after = Tokenizer(before.to_bytes())
    assert after.to_bytes() == before.to_bytes()
    assert len(after) == len(before) == VOCABULARY
    assert after.encode_all(SENTENCES) == before.encode_all(SENTENCES)


@pytest.mark.parametrize("name", ["unigram", "bpe"])
def test_the_same_text_gives_the_same_bytes(train: Train, name: str) -> None:
    assert train(name=name).source.to_bytes() == train(name=name).source.to_bytes()


def test_a_joint_vocabulary_is_one_object_after_a_round_trip(train: Train) -> None:
    pair = train()
    assert pair.joint
    assert pair.source.encode("Das Haus") == pair.target.encode("Das Haus")
    assert TokenizerPair.from_bytes(pair.source.to_bytes(), pair.target.to_bytes()).joint


def test_separate_vocabularies_contain_only_their_own_side(train: Train) -> None:
    pair = train(joint=False, byte_fallback=False, vocab_size=34)
    assert not pair.joint
    assert UNK in pair.source.encode("ß")
    assert UNK not in pair.target.encode("ß")
    assert not TokenizerPair.from_bytes(pair.source.to_bytes(), pair.target.to_bytes()).joint


def test_special_tokens_vanish_from_text(train: Train) -> None:
    tokenizer = train().source
    ids = tokenizer.encode("The dog")
    assert tokenizer.decode([BOS, *ids, EOS, PAD, PAD]) == "The dog"


def test_the_text_of_any_pieces_is_one_line(train: Train) -> None:
    tokenizer = train(byte_fallback=True).source
    names = tokenizer.pieces(range(len(tokenizer)))
    assert tokenizer.decode([*tokenizer.encode("The dog"), names.index("<0x0A>")]) == "The dog "


def test_special_tokens_cannot_be_written_in_text(train: Train) -> None:
    ids = train().source.encode("<s> </s> <pad> <unk>")
    assert not {PAD, UNK, BOS, EOS} & set(ids)


def test_pieces_are_readable(train: Train) -> None:
    tokenizer = train().source
    pieces = tokenizer.pieces(tokenizer.encode("für Füchse"))
    assert "".join(pieces) == "▁für▁Füchse"


@pytest.mark.parametrize("blank", ["", " ", "\t", "\u3000"])
def test_blank_text_has_no_pieces(train: Train, blank: str) -> None:
    assert train().source.encode(blank) == []


def test_single_texts_are_encoded_like_a_batch(train: Train) -> None:
    tokenizer = train().source
    assert tokenizer.encode_all(SENTENCES) == [tokenizer.encode(s) for s in SENTENCES]


@pytest.mark.parametrize("name", ["unigram", "bpe"])
def test_a_vocabulary_that_is_too_large_or_too_small_is_refused(train: Train, name: str) -> None:
    for size, remedy in ((100_000, "or less"), (261, "or more")):
        with pytest.raises(
            UserError, match=rf"tokenizer.vocab_size={size} .* \d+ {remedy}"
        ) as told:
            train(name=name, vocab_size=size)
        suggested = int(re.findall(rf"(\d+) {remedy}", str(told.value))[0])
        assert len(train(name=name, vocab_size=suggested).source) == suggested


@pytest.mark.parametrize("junk", [b"", b"junk", b"\x00" * 100])
def test_bytes_that_are_not_a_model_are_refused(junk: bytes) -> None:
    with pytest.raises(UserError, match="tokenizer"):
        Tokenizer(junk)


# ------------------------------------------------------------------------- words

HOSTILE = [
    "two  words ",
    "a\tb c",  # a tab is not a space
    "b\taa",
    "ein\u00a0Wort zwei",  # a no-break space, which NFKC turns into a space
    "\u200b nothing \u200b\u200b here",  # words that normalization removes
    "a\u200b\u00a0b \u200b c",  # one is split and one is removed, so the counts are equal
    "\u2581 \u2581a b\u2581c",  # SentencePiece's own mark
    "\ufb01sh \u2460 \u00bd",  # characters that NFKC decomposes
    "\u0007 bell",
]


@pytest.mark.parametrize("normalization", [*Normalization])
@pytest.mark.parametrize("sentence", HOSTILE)
def test_every_piece_is_of_the_word_that_it_spells(
    train: Train, normalization: str, sentence: str
) -> None:
    tokenizer = train(normalization=normalization).source
    ids, numbers = tokenizer.encode_words(sentence)
    assert ids == tokenizer.encode(sentence)
    assert numbers == sorted(numbers)

    def spelled(pieces: list[int]) -> str:
        return "".join(tokenizer.decode(pieces).split())

    for number, word in enumerate(sentence.split()):
        mine = [piece for piece, owner in zip(ids, numbers, strict=True) if owner == number]
        assert spelled(mine) == spelled(tokenizer.encode(word)), f"word {number}"


def test_a_single_mark_belongs_to_the_next_word() -> None:
    assert word_groups(["▁", "▁t", "o", "▁", "go"]) == [0, 0, 0, 1, 1]
