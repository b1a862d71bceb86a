"""Counts of faulty translations, and scores of parts of a test set."""

import random

import pytest

from nmt.evaluation.metrics import MetricName, corpus_score
from nmt.evaluation.output_statistics import is_copy, is_repetitive, output_statistics
from nmt.evaluation.score_groups import by_label, by_length, by_rarest_word, score_groups
from nmt.evaluation.sentence_ranking import most_different, rank_sentences, worst

SOURCE = ["a small dog", "Berlin", "two men wait", "nothing", ""]
REFERENCE = ["ein kleiner Hund", "Berlin", "zwei Männer warten", "nichts", ""]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ja ja ja", True),
        ("ja ja", False),
        ("und er und er und er geht", True),
        ("und er und er und sie", False),
        ("a b c d a b c d a b c d", True),
        ("a b c d e a b c d e a b c d e", False),
        ("", False),
    ],
)
def test_up_to_four_words_three_times_in_a_row_are_repetitive(text: str, expected: bool) -> None:
    assert is_repetitive(text) is expected


def test_a_copy_equals_its_source_but_no_reference() -> None:
    assert is_copy("a small dog", "a small dog ", ["ein kleiner Hund"])
    assert not is_copy("Berlin", "Berlin", ["Berlin"])
    assert not is_copy("Berlin", "Berlin", ["Stadt", "Berlin"])
    assert not is_copy("", "", [""])


def test_each_fault_is_counted_once_and_for_the_right_sentence() -> None:
    output = ["a small dog", "Berlin", "zwei zwei zwei", "", ""]
    found = output_statistics(output, [REFERENCE], SOURCE, [False, False, True, False, False])
    assert (found.empty, found.copies, found.repetitive, found.truncated) == (1, 1, 1, 1)
    assert found.length_ratio == pytest.approx(7 / 8)
    assert output_statistics(REFERENCE, [REFERENCE], SOURCE).empty == 0
    unknown = output_statistics(output, [REFERENCE])
    assert unknown.copies is unknown.truncated is None


def test_every_sentence_is_in_one_range_of_each_kind() -> None:
    draw = random.Random(1)
    source = [" ".join(["word"] * draw.randint(0, 90)) for _ in range(300)]
    for groups in (by_length(source), by_rarest_word(source, ["word word", "a word"])):
        assert sorted(i for positions in groups.values() for i in positions) == list(range(300))
    lengths = by_length(source)
    for i in lengths["11-20 words"]:
        assert 11 <= len(source[i].split()) <= 20
    assert {len(source[i].split()) <= 10 for i in lengths["up to 10 words"]} == {True}
    assert {len(source[i].split()) > 50 for i in lengths["51 or more words"]} == {True}


def test_the_rarest_word_decides() -> None:
    training = ["the cat"] * 30 + ["a dog"] * 3
    groups = by_rarest_word(["the cat", "the dog", "the bird", ""], training)
    assert groups == {
        "rarest word seen 0 times": [2, 3],
        "rarest word seen 1-4 times": [1],
        "rarest word seen 25-99 times": [0],
    }


def test_a_part_is_scored_as_if_it_were_the_whole() -> None:
    output = ["ein Hund", "Berlin", "zwei Männer warten", "nichts da", ""]
    groups = by_label(["x", "y", "x", "y", "x"])
    rows = score_groups(groups, [output, REFERENCE], [REFERENCE], MetricName.CHRF)
    assert [(row.name, row.sentences) for row in rows] == [("x", 3), ("y", 2)]
    part = corpus_score(MetricName.CHRF, output[1::2], [REFERENCE[1::2]])
    assert rows[1].scores[0] == part
    assert rows[1].scores[1].value == pytest.approx(100)


def test_sentences_are_ranked_by_their_own_score() -> None:
    first = ["ein kleiner Hund", "Bonn", "zwei Männer warten", "nichts", "x"]
    second = ["ein kleiner Hund", "Berlin", "zwei Frauen warten", "nichts", "y"]
    rows = rank_sentences([first, second], [REFERENCE], SOURCE)
    assert {one.number for one in worst(rows, 2)} == {2, 5}
    different = most_different(rows, 10)
    assert [one.number for one in different][:2] == [2, 3]
    assert {one.number for one in different} == {2, 3, 5}
    assert different[0].source == "Berlin"
