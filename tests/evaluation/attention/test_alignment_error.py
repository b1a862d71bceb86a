"""Alignment error rate (AER) compared with values computed by hand; errors raised."""

import pytest

from nmt.data.word_links import Link, parse_links
from nmt.errors import UserError
from nmt.evaluation.attention.alignment_error import AlignmentScore, score_links


def _links(line: str) -> frozenset[Link]:
    return parse_links(line).possible


def test_counts_are_summed_over_the_corpus_before_division() -> None:
    # Sentence 1: A = {00, 11, 21}, S = {00, 11}, P = S + {21}: A and S 2, A and P 3.
    # Sentence 2: A = {00, 02},     S = {01, 02}, P = S + {10}: A and S 1, A and P 1.
    # Sums: |A| 5, |S| 4, A and S 3, A and P 4.
    # Precision 4/5, recall 3/4, error rate 1 - (3 + 4) / (5 + 4) = 2/9.
    # The mean of the rates of single sentences would be (0 + (1 - 2/4)) / 2 = 1/4.
    score = score_links(
        [_links("0-0 1-1 2-1"), _links("0-0 0-2")],
        [parse_links("0-0 1-1 2p1"), parse_links("0-1 0-2 1p0")],
    )
    assert score == AlignmentScore(2, found=5, sure=4, possible=6, found_sure=3, found_possible=4)
    assert score.precision == pytest.approx(4 / 5)
    assert score.recall == pytest.approx(3 / 4)
    assert score.error_rate == pytest.approx(2 / 9)


def test_a_possible_link_is_neither_an_error_nor_required() -> None:
    gold = [parse_links("0-0 1p1")]
    for found in ("0-0", "0-0 1-1"):
        score = score_links([_links(found)], gold)
        assert (score.error_rate, score.precision, score.recall) == (0, 1, 1)


def test_error_rates_of_perfect_and_of_disjoint_links() -> None:
    gold = parse_links("0-0 1-2 2-1")
    assert score_links([gold.sure], [gold]).error_rate == 0
    assert score_links([_links("0-1 1-0")], [gold]).error_rate == 1


@pytest.mark.parametrize(
    ("found", "gold", "error_rate", "precision", "recall"),
    [("", "", 0, 1, 1), ("", "0-0", 1, 1, 0), ("0-0", "", 1, 0, 1), ("0-0", "0p0", 0, 1, 1)],
)
def test_a_ratio_of_zero_to_zero_is_one(
    found: str, gold: str, error_rate: float, precision: float, recall: float
) -> None:
    score = score_links([_links(found)], [parse_links(gold)])
    assert (score.error_rate, score.precision, score.recall) == (error_rate, precision, recall)


def test_different_numbers_of_sentences_raise() -> None:
    with pytest.raises(UserError, match="alignments of 1 sentence pairs, but gold alignments of 2"):
        score_links([frozenset()], [parse_links(""), parse_links("")])
