"""Maps of pieces converted to maps of words and to links, compared with values by hand."""

import numpy as np
import numpy.typing as npt
import pytest

from nmt.errors import UserError
from nmt.evaluation.attention.alignment_extractor import (
    AlignmentExtractor,
    all_extractors,
    links_by_extractor,
)
from nmt.evaluation.attention.attention_map import EOS_WORD, AttentionMap

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
        [0, 0, 2, 3, EOS_WORD],  # normalization removed word 1 of the sentence
        [0, 1, 1, 1, 2, EOS_WORD],
    )


def test_merging_sums_over_source_pieces_and_averages_over_target_pieces() -> None:
    merged = _map().merged()
    assert merged.source == ["ab", "c", "</s>"]
    assert merged.target == ["xy", "z", "</s>"]
    # Row xy: the mean of (0.6, 0.4, 0.0) and (0.4, 0.0, 0.6).
    expected = [[0.5, 0.2, 0.3], [0.2, 0.7, 0.1], [0.0, 0.5, 0.5]]
    np.testing.assert_allclose(merged.weights[0, 0], expected)


def test_merging_keeps_row_sums_and_is_idempotent() -> None:
    merged = _random_map(2, 3).merged()
    assert merged.weights.shape == (2, 3, 4, 4)
    np.testing.assert_allclose(merged.weights.sum(-1), 1)
    assert (merged.source_words, merged.target_words) == ([0, 2, 3, EOS_WORD], [0, 1, 2, EOS_WORD])
    again = merged.merged()
    np.testing.assert_array_equal(again.weights, merged.weights)
    assert (again.source, again.target) == (merged.source, merged.target)


def test_a_shift_takes_the_row_of_the_next_step_and_drops_eos() -> None:
    shifted = _map().shifted()
    assert shifted.target == ["▁x", "y", "▁z"]
    np.testing.assert_array_equal(shifted.weights[0, 0], ROWS[1:])
    with pytest.raises(ValueError, match="row of EOS"):
        shifted.shifted()


def test_without_eos_rows_are_renormalized_and_zeros_stay_zeros() -> None:
    left = _map([[0.1, 0.1, 0.2, 0.6], [0.0, 0.0, 0.0, 1.0], ROWS[2], ROWS[3]]).without_eos()
    assert (left.source, left.target) == (["▁a", "b", "▁c"], ["▁x", "y", "▁z"])
    np.testing.assert_allclose(
        left.weights[0, 0], [[0.25, 0.25, 0.5], [0, 0, 0], [0, 2 / 9, 7 / 9]]
    )
    again = left.without_eos()
    np.testing.assert_allclose(again.weights, left.weights)
    assert again.target == left.target


def test_the_order_of_merging_and_removing_eos_matters() -> None:
    # x attends to "ab" only; y attends to EOS except for a weight of 0.01 on c.
    rows = [[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.01, 0.99], ROWS[2], ROWS[3]]
    right = _map(rows).merged().without_eos()
    np.testing.assert_allclose(right.weights[0, 0, 0], [1.0 / 1.01, 0.01 / 1.01])
    wrong = _map(rows).without_eos().merged()
    np.testing.assert_allclose(wrong.weights[0, 0, 0], [0.5, 0.5])


def test_links_go_to_the_word_with_the_greatest_weight_except_eos() -> None:
    # Words: xy (0.5, 0.2), z (0.2, 0.7). Shifted: xy is the mean of (0.4, 0.0) and (0.2, 0.7),
    # so (0.3, 0.35), and z takes the row of EOS, (0.0, 0.5).
    assert _map().links(0, None) == {(0, 0), (1, 1)}
    assert _map().shifted().links(0, None) == {(1, 0), (1, 1)}


def test_a_threshold_links_all_words_with_nearly_the_greatest_weight() -> None:
    # Words: xy attends to ab (0.6) and c (0.3), z to ab (0.2) and c (0.8).
    rows = [[0.3, 0.3, 0.3, 0.1], [0.3, 0.3, 0.3, 0.1], [0.1, 0.1, 0.8, 0.0], ROWS[3]]
    assert _map(rows).links(0, 0) == {(0, 0), (1, 1)}
    assert _map(rows).links(0, 0, threshold=0.4) == {(0, 0), (1, 0), (1, 1)}
    assert _map(rows).links(0, 0, threshold=0.2) == {(0, 0), (1, 0), (0, 1), (1, 1)}


def test_only_the_first_of_equal_weights_is_linked() -> None:
    rows = [[0.25, 0.25, 0.5, 0.0]] * 4
    assert _map(rows).links(0, 0) == {(0, 0), (0, 1)}
    assert _map(rows).links(0, 0, threshold=0.99) == {(0, 0), (0, 1), (1, 0), (1, 1)}


def test_the_weights_of_a_words_pieces_are_summed_before_linking() -> None:
    rows = [[0.3, 0.3, 0.4, 0.0]] * 4
    assert _map(rows).links(0, 0) == {(0, 0), (0, 1)}


def test_links_use_the_word_numbers_of_the_sentence() -> None:
    weights = np.zeros((1, 1, 6, 5))
    weights[0, 0, :, 2] = 1.0
    a = _random_map(1, 1)
    attention = AttentionMap(weights, a.source, a.target, a.source_words, a.target_words)
    assert attention.links(0, None) == {(2, 0), (2, 1), (2, 2)}


def test_a_row_that_attends_to_no_word_has_no_link() -> None:
    rows = [[0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.2, 0.8], ROWS[3]]
    assert _map(rows).links(0, None) == {(1, 1)}


def test_a_side_without_words_has_no_links() -> None:
    for source, target in (([], [0, 1]), ([0, 1], []), ([], [])):
        shape = (1, 1, len(target) + 1, len(source) + 1)
        labels = [[*map(str, words), "</s>"] for words in (source, target)]
        numbers = [[*words, EOS_WORD] for words in (source, target)]
        attention = AttentionMap(np.ones(shape), labels[0], labels[1], numbers[0], numbers[1])
        for view in (attention, attention.shifted(), attention.without_eos()):
            assert view.links(0, None) == frozenset()
            assert view.merged().weights.shape == view.weights.shape


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
            "layer 3 does not exist: the model's attention has 2 layers; choose from 1 to 2",
        ),
        (-3, 0, "layer -3 does not exist"),
        (0, 3, "head 4 does not exist: the model's attention has 3 heads"),
        (0, -4, "head -4 does not exist"),
    ],
)
def test_a_layer_or_head_that_does_not_exist_raises_with_the_valid_range(
    layer: int, head: int | None, message: str
) -> None:
    attention = _random_map(2, 3)
    for method in (attention.layer_head, attention.links):
        with pytest.raises(UserError, match=message):
            method(layer, head)
    with pytest.raises(UserError, match=message):
        AlignmentExtractor(layer, head, shift=False).resolved(2, 3)


def test_negative_numbers_count_from_the_last() -> None:
    extractor = AlignmentExtractor(-2, -1, shift=True).resolved(4, 8)
    assert extractor == AlignmentExtractor(2, 7, shift=True)


def test_several_extractors_at_once_give_the_links_of_each() -> None:
    attention = _random_map(2, 3)
    extractors = all_extractors(2, 3)
    assert len(set(extractors)) == 2 * (1 + 3) * 2
    found = links_by_extractor(extractors, attention)
    assert found == [extractor.links(attention) for extractor in extractors]
    assert len(set(found)) > 2


def test_byte_pieces_are_shown_as_characters() -> None:
    labels = ["▁", "<0xE2>", "<0x82>", "<0xAC>", "9", "▁", "</s>"]
    weights = np.ones((1, 1, 1, 7)) / 7
    attention = AttentionMap(weights, labels, ["</s>"], [0, 0, 0, 0, 0, 1, EOS_WORD], [EOS_WORD])
    assert attention.merged().source == ["€9", "▁", "</s>"]


def test_weights_that_do_not_fit_their_labels_raise() -> None:
    with pytest.raises(ValueError, match="do not fit 1 target and 2 source labels"):
        AttentionMap(np.ones((1, 1, 2, 2)), ["a", "b"], ["c"], [0, 1], [0])
