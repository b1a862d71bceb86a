"""Prefixes, required and forbidden phrases, compared with the ranking of all translations.

The pieces of the invented model spell ``▁a``, ``b``, ``▁`` and ``ab``.
"""

import re
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any, cast

import pytest
import torch
from exhaustive_search import Exhaustive, Wanted
from invented_model import FakeModel, Prefix, random_log_probs

from nmt.config.schema import DecodingConfig
from nmt.data.batches.batch import source_batch
from nmt.decoding.constrained.constraints import (
    BatchConstraints,
    ConstraintEncoder,
    PieceConstraints,
)
from nmt.decoding.constrained.forbidden_phrases import automaton_of
from nmt.decoding.constrained.phrase_matcher import PhraseMatcher
from nmt.decoding.constrained.target_pieces import TargetPieces
from nmt.decoding.search import Hypothesis, beam_search
from nmt.kernels import dispatch
from nmt.model.seq2seq import TranslationModel
from nmt.text.special_tokens import BOS, EOS, PAD, UNK
from nmt.text.tokenizer import Tokenizer

SURFACES = ["", "▁", "", "", "▁a", "b", "ab"]
PIECES = (UNK, 4, 5, 6)
SENTENCES = range(4, 9)
CPU = torch.device("cpu")


class _InventedTokenizer:
    """A tokenizer whose pieces are those of the invented model."""

    def __len__(self) -> int:
        return len(SURFACES)

    def pieces(self, ids: Sequence[int]) -> list[str]:
        return [SURFACES[i] or f"<{i}>" for i in ids]

    def is_plain(self, piece: int) -> bool:
        return piece > EOS


ENCODER = ConstraintEncoder(cast("Tokenizer", _InventedTokenizer()))


def wanted(
    prefix: Prefix = (),
    required: Sequence[Prefix] = (),
    forbidden: Sequence[str] = (),
    *,
    closed: bool = False,
) -> PieceConstraints:
    automaton = automaton_of(ENCODER.pieces, forbidden) if forbidden else None
    open_ends = (False,) * len(required)
    return PieceConstraints(prefix, closed, tuple(required), open_ends, automaton)


def search(
    constraints: Sequence[PieceConstraints],
    beam_size: int,
    sentences: Sequence[int],
    **changes: Any,
) -> list[list[Hypothesis]]:
    model = cast("TranslationModel", FakeModel(random_log_probs))
    ids, mask = source_batch([[sentence] * 2 for sentence in sentences])
    plain = dict(length_penalty=0.0, max_length_ratio=0.0, max_length_extra=4)
    settings = DecodingConfig(beam_size=beam_size, **{**plain, **changes})
    batch = ENCODER.batch(constraints, CPU)
    assert isinstance(batch, BatchConstraints)
    return beam_search(model, ids, mask, settings, constraints=batch)


@pytest.mark.parametrize("beam_size", [2, 3, 5])
@pytest.mark.parametrize(
    "neighbour", [wanted((5,)), wanted(required=[(5, 6)]), wanted(forbidden=["ab"])]
)
def test_a_sentence_without_constraints_has_the_hypotheses_that_it_has_alone(
    beam_size: int, neighbour: PieceConstraints
) -> None:
    model = cast("TranslationModel", FakeModel(random_log_probs))
    changes = dict(length_penalty=1.0, max_length_extra=8)
    settings = DecodingConfig(beam_size=beam_size, max_length_ratio=0.0, **changes)
    for sentence in range(4, 40):
        alone = beam_search(model, *source_batch([[sentence] * 2]), settings)[0]
        beside = search([wanted(), neighbour], beam_size, [sentence, 4], **changes)[0]
        assert [h.ids for h in beside] == [h.ids for h in alone], f"sentence {sentence}"


def ranked(sentence: int, one: PieceConstraints, **changes: Any) -> list[tuple[float, Prefix]]:
    plain = dict(length_penalty=0.0, max_length_ratio=0.0, max_length_extra=4)
    asked = Wanted(prefix=one.prefix, required=one.required)
    settings = DecodingConfig(**{**plain, **changes})
    of_model = partial(random_log_probs, sentence)
    found = Exhaustive(of_model, PIECES, 3, settings, wanted=asked).ranked(one.room)
    return [(score, ids) for score, _, ids in found]


CASES = {
    "prefix": wanted((5, 4)),
    "long prefix": wanted((5, 4, 4, 6, 6, 1)),
    "one piece": wanted(required=[(6,)]),
    "two phrases": wanted(required=[(6,), (5, 4)]),
    "overlapping": wanted(required=[(4, 5), (5, 6)]),
    "one in the other": wanted(required=[(4, 5), (5,)]),
    "same beginning": wanted(required=[(4, 5), (4, 6)]),
    "repeated piece": wanted(required=[(4, 4)]),
    "prefix and phrase": wanted((5,), [(5, 6)]),
}


@pytest.mark.parametrize("accelerated", [False, True], ids=["cpu", "gpu"])
@pytest.mark.parametrize("name", CASES)
def test_a_wide_beam_finds_the_best_translation(name: str, *, accelerated: bool) -> None:
    with ExitStack() as stack:
        if accelerated:
            stack.enter_context(dispatch.as_on_accelerator())
        together = search([CASES[name]] * len(SENTENCES), 1000, SENTENCES)
    for sentence, found in zip(SENTENCES, together, strict=True):
        expected = ranked(sentence, CASES[name])
        assert found[0].score == pytest.approx(expected[0][0], abs=1e-4)
        assert tuple(found[0].ids) == expected[0][1]
        scores = {ids: score for score, ids in expected}
        for hypothesis in found:  # each is allowed, and its score is right
            assert hypothesis.score == pytest.approx(scores[tuple(hypothesis.ids)], abs=1e-4)


@pytest.mark.parametrize("beam_size", [1, 2, 3, 5])
@pytest.mark.parametrize("name", CASES)
def test_a_narrow_beam_keeps_the_constraints(name: str, beam_size: int) -> None:
    for sentence, found in zip(
        SENTENCES, search([CASES[name]] * len(SENTENCES), beam_size, SENTENCES), strict=True
    ):
        scores = {ids: score for score, ids in ranked(sentence, CASES[name])}
        assert found
        for hypothesis in found:
            assert hypothesis.log_prob == pytest.approx(scores[tuple(hypothesis.ids)], abs=1e-4)


def test_each_sentence_has_constraints_of_its_own() -> None:
    mixed = [wanted(), wanted((5, 4)), wanted(required=[(6,), (5, 4)]), wanted(forbidden=["a"])]
    sentences = [4, 5, 6, 7]
    together = search(mixed, 3, sentences)
    for place, sentence in enumerate(sentences):
        # An unconstrained sentence is beside another one: alone it would have no constraints.
        neighbour = mixed[2] if place == 0 else mixed[place]
        alone, _ = search([mixed[place], neighbour], 3, [sentence, 8])
        assert [h.ids for h in alone] == [h.ids for h in together[place]]


@pytest.mark.parametrize(
    "changes",
    [dict(no_repeat_ngram=1), dict(repetition_penalty=5.0), dict(min_length_extra=3)],
    ids=lambda changes: next(iter(changes)),
)
def test_constraints_come_before_preferences(changes: dict[str, Any]) -> None:
    twice = wanted((4, 4), [(5, 5)])
    for found in search([twice] * len(SENTENCES), 4, SENTENCES, **changes):
        assert found
        for hypothesis in found:
            assert hypothesis.ids[:2] == [4, 4]
            pairs = list(zip(hypothesis.ids, hypothesis.ids[1:], strict=False))
            assert (5, 5) in pairs


def spelled(ids: Sequence[int]) -> str:
    return "".join(SURFACES[i] for i in ids)


def whole_word(phrase: str) -> Callable[[str], bool]:
    """Return whether a text has a phrase beside which there is no letter."""
    pattern = re.compile(rf"(?<![a-z]){phrase}(?![a-z])")
    return lambda text: pattern.search(text) is not None


@pytest.mark.parametrize(
    "phrases", [["a"], ["b"], ["ab"], ["abb"], ["a▁b"], ["a", "bab"], ["ab▁ab"], ["c"]]
)
def test_forbidden_phrases_are_excluded_whatever_pieces_spell_them(phrases: list[str]) -> None:
    tests = [whole_word(phrase) for phrase in phrases]

    def allowed(ids: Prefix) -> bool:
        beginnings = [spelled(ids[:length]) for length in range(1, len(ids) + 1)]
        return not any(test(text) for test in tests for text in beginnings)

    one = wanted(forbidden=phrases)
    for sentence, found in zip(
        SENTENCES, search([one] * len(SENTENCES), 400, SENTENCES), strict=True
    ):
        expected = [ids for _, ids in ranked(sentence, wanted()) if allowed(ids)]
        assert [tuple(h.ids) for h in found] == expected, phrases


def test_no_letter_follows_a_closed_phrase() -> None:
    word = PieceConstraints((), False, ((4,),), (True,), None)  # ▁a as a word
    for found in search([word] * len(SENTENCES), 5, SENTENCES):
        for hypothesis in found:
            first = hypothesis.ids.index(4)
            assert not spelled(hypothesis.ids[first + 1 : first + 2]).startswith(("a", "b"))
    closed = wanted((4,), closed=True)
    for found in search([closed] * len(SENTENCES), 5, SENTENCES):
        assert all(not spelled(h.ids[1:2]).startswith(("a", "b")) for h in found)


def test_phrases_that_exclude_each_other_still_give_a_translation() -> None:
    impossible = PieceConstraints(
        (), False, ((4, 5),), (False,), automaton_of(ENCODER.pieces, ["ab"])
    )
    assert all(search([impossible] * len(SENTENCES), 3, SENTENCES))


@pytest.mark.parametrize(
    ("phrase", "text", "expected"),
    [
        ("in", "ein▁Haus", False),
        ("in", "in▁Haus", True),
        ("in", "(in)", True),
        ("in", "ins", False),
        ("Haus.", "Haus.", True),
        ("東京", "私は東京に", True),
        ("é", "cafe▁é", True),
        ("New▁York", "in▁New▁York,", True),
        ("New▁York", "New▁Yorker", False),
        ("aab", "aaab▁aab", True),
    ],
)
def test_phrases_match_whole_words(phrase: str, text: str, *, expected: bool) -> None:
    assert PhraseMatcher([phrase]).found_in(text) is expected


def test_special_pieces_spell_nothing() -> None:
    pieces = TargetPieces(cast("Tokenizer", _InventedTokenizer()))
    assert [pieces.surfaces[i] for i in (PAD, BOS, EOS)] == ["", "", ""]
    assert pieces.continues_word.tolist() == [False] * 5 + [True, True]
    assert pieces.ends_in_word[4:] == [True] * 3
