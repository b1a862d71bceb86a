"""Maps of pieces made into maps of words and into links, on small matrices worked out on paper."""

import numpy as np
import numpy.typing as npt
import pytest

from nmt.errors import UserError
from nmt.evaluation.alignment_extractor import (
    AlignmentExtractor,
    all_extractors,
    links_by_extractor,
)
from nmt.evaluation.attention_map import EOS_WORD, AttentionMap

Matrix = npt.NDArray[np.float64]

# Source "ab c" in three pieces, target "xy z" in three; the last row and column are EOS.
ROWS = [
    [0.1, 0.5, 0.4, 0.0],
    [0.3, 0.1, 0.0, 0.6],
    [0.0, 0.2, 0.7, 0.1],
    [0.0, 0.0, 0.5, 0.5],
]


def _map(rows: list[list[float]] | None = None) -> AttentionMap:
    weights = np.array(ROWS if rows is None else rows)[None, None]
    source, target = ["▁a", "b", "▁c", "</s>"], ["▁x", "y", "▁z", "</s>"]
    return AttentionMap(weights, source, target, [0, 0, 1, EOS_WORD], [0, 0, 1, EOS_WORD])


def _random_map(layers: int, heads: int) -> AttentionMap:
    weights = np.random.default_rng(1).dirichlet(np.ones(5), size=(layers, heads, 6))
    return AttentionMap(
        weights,
        ["▁a", "b", "▁c", "▁d", "</s>"],
        ["▁v", "▁w", "x", "y", "▁z", "</s>"],
        [0, 0, 2, 3, EOS_WORD],  # the sentence has a word 1 of which the normalisation left nothing
        [0, 1, 1, 1, 2, EOS_WORD],
    )


def test_merging_sums_over_source_pieces_and_averages_over_target_pieces() -> None:
    merged = _map().merged()
    assert merged.source == ["ab", "c", "</s>"]
    assert merged.target == ["xy", "z", "</s>"]
    # Row xy: the mean of (0.6, 0.4, 0.0) and (0.4, 0.0, 0.6).
    expected = [[0.5, 0.2, 0.3], [0.2, 0.7, 0.1], [0.0, 0.5, 0.5]]
    np.testing.assert_allclose(merged.weights[0, 0], expected)


def test_merging_keeps_the_sums_of_rows_and_merging_twice_is_merging_once() -> None:
    merged = _random_map(2, 3).merged()
    assert merged.weights.shape == (2, 3, 4, 4)
    np.testing.assert_allclose(merged.weights.sum(-1), 1)
    assert (merged.source_words, merged.target_words) == ([0, 2, 3, EOS_WORD], [0, 1, 2, EOS_WORD])
    again = merged.merged()
    np.testing.assert_array_equal(again.weights, merged.weights)
    assert (again.source, again.target) == (merged.source, merged.target)


def test_a_shift_reads_the_row_of_the_next_step_and_drops_the_last_piece_that_is_none() -> None:
    shifted = _map().shifted()
    assert shifted.target == ["▁x", "y", "▁z"]
    np.testing.assert_array_equal(shifted.weights[0, 0], ROWS[1:])
    with pytest.raises(ValueError, match="row of EOS"):
        shifted.shifted()


def test_without_eos_rows_sum_to_one_again_and_zeros_stay_zeros() -> None:
    left = _map([[0.1, 0.1, 0.2, 0.6], [0.0, 0.0, 0.0, 1.0], ROWS[2], ROWS[3]]).without_eos()
    assert (left.source, left.target) == (["▁a", "b", "▁c"], ["▁x", "y", "▁z"])
    np.testing.assert_allclose(
        left.weights[0, 0], [[0.25, 0.25, 0.5], [0, 0, 0], [0, 2 / 9, 7 / 9]]
    )
    again = left.without_eos()
    np.testing.assert_allclose(again.weights, left.weights)
    assert again.target == left.target


def test_the_order_of_merging_and_removing_eos_matters() -> None:
    # x looks at "ab" alone; y at EOS but for a hundredth, which goes to c.
    rows = [[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.01, 0.99], ROWS[2], ROWS[3]]
    right = _map(rows).merged().without_eos()
    np.testing.assert_allclose(right.weights[0, 0, 0], [1.0 / 1.01, 0.01 / 1.01])
    wrong = _map(rows).without_eos().merged()
    np.testing.assert_allclose(wrong.weights[0, 0, 0], [0.5, 0.5])


def test_links_go_to_the_heaviest_word_of_those_that_are_no_eos() -> None:
    # Words: xy (0.5, 0.2), z (0.2, 0.7). A step later: xy is the mean of (0.4, 0.0) and (0.2, 0.7),
    # so (0.3, 0.35), and z takes the row of EOS, (0.0, 0.5).
    assert _map().links(0, None) == {(0, 0), (1, 1)}
    assert _map().shifted().links(0, None) == {(1, 0), (1, 1)}


def test_a_threshold_links_all_words_that_weigh_nearly_as_much() -> None:
    # Words: xy looks at ab (0.6) and c (0.3), z at ab (0.2) and c (0.8).
    rows = [[0.3, 0.3, 0.3, 0.1], [0.3, 0.3, 0.3, 0.1], [0.1, 0.1, 0.8, 0.0], ROWS[3]]
    assert _map(rows).links(0, 0) == {(0, 0), (1, 1)}
    assert _map(rows).links(0, 0, threshold=0.4) == {(0, 0), (1, 0), (1, 1)}
    assert _map(rows).links(0, 0, threshold=0.2) == {(0, 0), (1, 0), (0, 1), (1, 1)}


def test_of_equal_weights_the_first_is_linked_alone() -> None:
    rows = [[0.25, 0.25, 0.5, 0.0]] * 4
    assert _map(rows).links(0, 0) == {(0, 0), (0, 1)}
    assert _map(rows).links(0, 0, threshold=0.99) == {(0, 0), (0, 1), (1, 0), (1, 1)}


def test_a_word_of_many_light_pieces_outweighs_a_heavier_single_piece() -> None:
    rows = [[0.3, 0.3, 0.4, 0.0]] * 4
    assert _map(rows).links(0, 0) == {(0, 0), (0, 1)}


def test_links_number_words_as_the_sentence_does() -> None:
    weights = np.zeros((1, 1, 6, 5))
    weights[0, 0, :, 2] = 1.0
    a = _random_map(1, 1)
    attention = AttentionMap(weights, a.source, a.target, a.source_words, a.target_words)
    assert attention.links(0, None) == {(2, 0), (2, 1), (2, 2)}


def test_a_row_that_looks_at_no_word_gives_no_link() -> None:
    rows = [[0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.2, 0.8], ROWS[3]]
    assert _map(rows).links(0, None) == {(1, 1)}


def test_without_words_on_a_side_there_is_no_link() -> None:
    for source, target in (([], [0, 1]), ([0, 1], []), ([], [])):
        shape = (1, 1, len(target) + 1, len(source) + 1)
        labels = [[*map(str, words), "</s>"] for words in (source, target)]
        numbers = [[*words, EOS_WORD] for words in (source, target)]
        attention = AttentionMap(np.ones(shape), labels[0], labels[1], numbers[0], numbers[1])
        for seen in (attention, attention.shifted(), attention.without_eos()):
            assert seen.links(0, None) == frozenset()
            assert seen.merged().weights.shape == seen.weights.shape


def test_no_head_means_the_mean_of_all() -> None:
    attention = _random_map(2, 3)
    np.testing.assert_allclose(attention.layer_head(-1, None), attention.weights[1].mean(0))
    np.testing.assert_array_equal(attention.layer_head(0, -1), attention.weights[0, 2])


@pytest.mark.parametrize(
    ("layer", "head", "message"),
    [
        (
            2,
            None,
            "layer 2 does not exist: the model's attention has 2 layers, numbered from 0 to 1",
        ),
        (-3, 0, "layer -3 does not exist"),
        (0, 3, "head 3 does not exist: the model's attention has 3 heads"),
        (0, -4, "head -4 does not exist"),
    ],
)
def test_what_does_not_exist_is_refused_with_what_does(
    layer: int, head: int | None, message: str
) -> None:
    attention = _random_map(2, 3)
    for look in (attention.layer_head, attention.links):
        with pytest.raises(UserError, match=message):
            look(layer, head)
    with pytest.raises(UserError, match=message):
        AlignmentExtractor(layer, head, shift=False).resolved(2, 3)


def test_negative_numbers_are_resolved_from_the_last() -> None:
    reading = AlignmentExtractor(-2, -1, shift=True).resolved(4, 8)
    assert reading == AlignmentExtractor(2, 7, shift=True)


def test_reading_in_many_ways_at_once_is_reading_in_each() -> None:
    attention = _random_map(2, 3)
    readings = all_extractors(2, 3)
    assert len(set(readings)) == 2 * (1 + 3) * 2
    found = links_by_extractor(readings, attention)
    assert found == [reading.links(attention) for reading in readings]
    assert len(set(found)) > 2


def test_bytes_are_shown_as_what_they_spell() -> None:
    labels = ["▁", "<0xE2>", "<0x82>", "<0xAC>", "9", "▁", "</s>"]
    weights = np.ones((1, 1, 1, 7)) / 7
    attention = AttentionMap(weights, labels, ["</s>"], [0, 0, 0, 0, 0, 1, EOS_WORD], [EOS_WORD])
    assert attention.merged().source == ["€9", "▁", "</s>"]


def test_weights_that_do_not_fit_their_labels_are_refused() -> None:
    with pytest.raises(ValueError, match="do not fit 1 target and 2 source labels"):
        AttentionMap(np.ones((1, 1, 2, 2)), ["a", "b"], ["c"], [0, 1], [0])
