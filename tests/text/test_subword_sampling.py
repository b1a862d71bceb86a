"""Sampled segmentations have the same text and the distributions of the papers."""

import math
import pickle
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise, product
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.config.tokenizer_settings import TokenizerConfig
from nmt.errors import UserError
from nmt.text.model_file import ModelFile
from nmt.text.subword_sampling import SubwordSampler, position_random
from nmt.text.tokenizer import Tokenizer, train_tokenizers

CORPUS = [
    "banana bandana ban and an ananas cabana",
    "a nab can a cab bac bananas and cabanas",
    "bandanas abba baba naan nan 漢字 <2de> and",
    "ana bana nana banan anab dana dan band canna cannabis",
]
WORDS = ["banana", "bandanas", "abcabc", "naan", "é", "漢字", "zebra", "<2de>", "aaaa", "x<2de>y"]
SENTENCES = st.lists(st.sampled_from(WORDS) | st.text("abcdn", max_size=9), max_size=6)

Make = Callable[..., Tokenizer]


@pytest.fixture(scope="module")
def make(tokenizer_config: Callable[..., TokenizerConfig]) -> Make:
    @cache
    def tokenizer(kind: str, byte_fallback: bool = True) -> Tokenizer:
        config = tokenizer_config(
            name=kind,
            vocab_size=32 + 256 * byte_fallback,
            joint=True,
            byte_fallback=byte_fallback,
            symbols=["<2de>"],
        )
        return train_tokenizers(config, CORPUS * 3, CORPUS * 3).source

    return tokenizer


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
@settings(max_examples=40, deadline=None)
@given(
    words=SENTENCES,
    strength=st.sampled_from([0.1, 0.5, 1.0]),
    byte_fallback=st.booleans(),
    seed=st.integers(0, 99),
)
def test_a_sample_spells_the_same_text(
    kind: str, words: list[str], strength: float, byte_fallback: bool, seed: int, make: Make
) -> None:
    tokenizer = make(kind, byte_fallback)
    ids = tokenizer.encode(" ".join(words))
    sampler = SubwordSampler(tokenizer, strength)
    sampled = sampler.sample(np.array(ids, np.int32), Random(seed))
    assert tokenizer.decode(sampled) == tokenizer.decode(ids)
    assert "".join(tokenizer.pieces(sampled)) == "".join(tokenizer.pieces(ids))
    assert sampled == sampler.sample(ids, Random(seed))
    assert sampled == pickle.loads(pickle.dumps(sampler)).sample(ids, Random(seed))
    kept = [piece for piece in ids if not tokenizer.is_plain(piece)]
    assert [piece for piece in sampled if not tokenizer.is_plain(piece)] == kept


@settings(max_examples=80, deadline=None)
@given(words=SENTENCES)
def test_without_dropout_merges_give_the_segmentation_of_sentencepiece(
    words: list[str], make: Make
) -> None:
    tokenizer = make("bpe")
    ids = tokenizer.encode(" ".join(words))
    assert SubwordSampler(tokenizer, 0.0).sample(ids, Random(1)) == ids


@settings(max_examples=50, deadline=None)
@given(words=st.lists(st.text("abcdn", min_size=1, max_size=9), max_size=6))
def test_when_every_merge_is_dropped_characters_are_left(words: list[str], make: Make) -> None:
    tokenizer = make("bpe")
    ids = tokenizer.encode(" ".join(words))
    sampled = SubwordSampler(tokenizer, 1.0).sample(ids, Random(1))
    assert all(len(piece) == 1 for piece in tokenizer.pieces(sampled))


def _all_cuts(word: str, pieces: dict[str, int]) -> Iterator[tuple[int, ...]]:
    """Every segmentation of a word into pieces, by enumeration."""
    for pattern in product([False, True], repeat=len(word) - 1):
        edges = [0, *(place for place, cut in enumerate(pattern, 1) if cut), len(word)]
        parts = [word[start:end] for start, end in pairwise(edges)]
        if all(part in pieces for part in parts):
            yield tuple(pieces[part] for part in parts)


def _fits(counts: Counter[tuple[int, ...]], expected: dict[tuple[int, ...], float]) -> bool:
    """Whether draws fit a distribution: chi-square within 5 standard deviations of its mean."""
    assert counts.keys() <= expected.keys()
    draws = counts.total()
    common = {cut: share for cut, share in expected.items() if share * draws >= 5}
    groups = [(counts[cut], share * draws) for cut, share in common.items()]
    rest = draws - sum(count for count, _ in groups), draws * (1 - sum(common.values()))
    if rest[1] >= 5:
        groups.append(rest)
    degrees = len(groups) - 1
    assert degrees >= 3  # several outcomes are distinguished
    distance = sum((count - share) ** 2 / share for count, share in groups)
    return distance < degrees + 5 * math.sqrt(2 * degrees)


@pytest.mark.parametrize("alpha", [0.1, 0.5, 1.0])
def test_unigram_segmentations_have_their_probability(alpha: float, make: Make) -> None:
    tokenizer = make("unigram")
    pieces = {
        piece.surface: place
        for place, piece in enumerate(ModelFile.parse(tokenizer.to_bytes()).pieces)
        if piece.type == 1
    }
    scores = tokenizer.scores()
    weights = {
        cut: math.exp(alpha * sum(scores[piece] for piece in cut))
        for cut in _all_cuts("▁banana", pieces)
    }
    total = sum(weights.values())
    sampler, random = SubwordSampler(tokenizer, alpha), Random(1)
    ids = tokenizer.encode("banana")
    counts = Counter(tuple(sampler.sample(ids, random)) for _ in range(4000))
    assert _fits(counts, {cut: weight / total for cut, weight in weights.items()})


def _dropout(parts: tuple[str, ...], ranks: dict[str, int], p: float) -> Counter[tuple[str, ...]]:
    """The distribution of BPE-dropout's segmentations, by enumerating the outcomes of each step."""
    merges = [i for i in range(len(parts) - 1) if parts[i] + parts[i + 1] in ranks]
    merges.sort(key=lambda i: (ranks[parts[i] + parts[i + 1]], i))
    outcomes: Counter[tuple[str, ...]] = Counter()
    for order, i in enumerate(merges):  # the best merge that is not dropped
        merged = (*parts[:i], parts[i] + parts[i + 1], *parts[i + 2 :])
        for cut, share in _dropout(merged, ranks, p).items():
            outcomes[cut] += (1 - p) * p**order * share
    outcomes[parts] += p ** len(merges)
    return outcomes


@pytest.mark.parametrize("p", [0.2, 0.6])
def test_bpe_segmentations_have_the_frequencies_of_the_algorithm(p: float, make: Make) -> None:
    tokenizer = make("bpe")
    parts = ModelFile.parse(tokenizer.to_bytes()).pieces
    ranked = sorted((piece for piece in parts if piece.type == 1), key=lambda one: -one.score)
    ranks = {piece.surface: rank for rank, piece in enumerate(ranked)}
    named = {piece.surface: place for place, piece in enumerate(parts)}
    expected = {
        tuple(named[part] for part in cut): share
        for cut, share in _dropout(tuple("▁banana"), ranks, p).items()
    }
    assert sum(expected.values()) == pytest.approx(1)
    sampler, random = SubwordSampler(tokenizer, p), Random(1)
    ids = tokenizer.encode("banana")
    counts = Counter(tuple(sampler.sample(ids, random)) for _ in range(4000))
    assert _fits(counts, expected)


def test_pieces_that_go_from_word_to_word_are_sampled_too(
    sentencepiece_model: Callable[..., bytes],
) -> None:
    model = sentencepiece_model(
        ["some of the", "one of the"], vocab_size=24, split_by_whitespace=False
    )
    tokenizer = Tokenizer(model)
    ids = tokenizer.encode("one of the some")
    assert SubwordSampler(tokenizer, 0.0).sample(ids, Random(1)) == ids
    assert any("▁" in piece[1:] for piece in tokenizer.pieces(ids))
    for seed in range(20):
        sampled = SubwordSampler(tokenizer, 0.5).sample(ids, Random(seed))
        assert tokenizer.decode(sampled) == "one of the some"


def test_a_long_word_has_a_segmentation(make: Make) -> None:
    tokenizer = make("unigram")
    ids = tokenizer.encode("ban" * 2000)
    sampled = SubwordSampler(tokenizer, 1.0).sample(ids, Random(1))
    assert tokenizer.decode(sampled) == "ban" * 2000


@pytest.mark.parametrize("kind", ["char", "word"])
def test_kinds_with_one_segmentation_are_refused(kind: str, make: Make) -> None:
    with pytest.raises(UserError, match=f"{kind} has only one segmentation"):
        SubwordSampler(make(kind, False), 0.1)


def test_each_position_has_its_own_generator() -> None:
    places = list(product((0, 1, 2**62), (0, 1, 7), (0, 1, 2**31), (0, 1)))
    first = {position_random(*place).random() for place in places}
    assert len(first) == len(places)
    assert first == {position_random(*place).random() for place in places}
