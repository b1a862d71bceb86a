"""The expected chrF of samples is the mean of sacreBLEU's sentence scores."""

import pytest
from sacrebleu.metrics import CHRF

from nmt.decoding.minimum_risk import expected_chrf, pairwise_chrf

TEXTS = [
    "Wo ist der Bahnhof?",
    "Wo ist der Bahnhof ?",
    "der Bahnhof",
    "",
    "a",
    "東京",
    "Wo ist das?",
]


def test_pairs_have_the_score_of_sacrebleu() -> None:
    metric = CHRF()
    found = pairwise_chrf(TEXTS)
    for row, hypothesis in enumerate(TEXTS):
        for column, reference in enumerate(TEXTS):
            expected = metric.sentence_score(hypothesis, [reference]).score
            assert found[row, column] == pytest.approx(expected, abs=1e-6), (hypothesis, reference)


def test_samples_count_as_often_as_they_were_drawn() -> None:
    texts = ["ein Haus", "das Haus", "ein Haus", "völlig anders", "ein Haus"]
    found = expected_chrf(texts)
    assert list(found)[0] == "ein Haus"
    assert set(found) == set(texts)
    metric = CHRF()
    for text, value in found.items():
        scores = [metric.sentence_score(text, [other]).score for other in texts]
        assert value == pytest.approx(sum(scores) / len(scores), abs=1e-6)


def test_of_equal_samples_the_first_comes_first() -> None:
    assert list(expected_chrf(["b", "a"])) == ["b", "a"]
