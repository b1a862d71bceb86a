"""Pieces and pads of batches, counted by hand."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from nmt.bench.counts import Counts
from nmt.data.batches.batch import Batch
from nmt.text.special_tokens import EOS, PAD

Pairs = list[tuple[list[int], list[int]]]


@pytest.fixture
def counts(batch_of: Callable[[Pairs], Batch]) -> Counts:
    """A batch with sources of 2 and 4 pieces and targets of 3 and 1, each followed by EOS."""
    return Counts.of(batch_of([([5, 6], [7, 8, 9]), ([5, 6, 7, 8], [4])]))


def test_pieces_are_counted_with_eos_and_without_pads(counts: Counts) -> None:
    assert counts.sentences == 2
    assert (counts.source_tokens, counts.target_tokens) == (3 + 5, 4 + 2)
    assert (counts.source_places, counts.target_places) == (2 * 5, 2 * 4)


def test_padding_is_the_share_of_slots_without_a_piece(counts: Counts) -> None:
    assert counts.source_padding == pytest.approx(2 / 10)
    assert counts.target_padding == pytest.approx(2 / 8)


def test_pairs_of_positions_are_counted_per_sentence(counts: Counts) -> None:
    assert counts.source_squares == 3**2 + 5**2
    assert counts.target_squares == 4**2 + 2**2
    assert counts.products == 3 * 4 + 5 * 2


def test_the_pieces_are_those_the_loss_is_divided_by(ragged_batch: Batch) -> None:
    assert Counts.of(ragged_batch).target_tokens == ragged_batch.num_tokens


def test_the_padding_of_a_total_covers_all_batches(counts: Counts) -> None:
    full = Counts.of_lengths(torch.tensor([4]), torch.tensor([6]))
    both = Counts.total([counts, full])
    assert full.target_padding == 0
    assert both.target_padding == pytest.approx(2 / (8 + 6))


def test_a_row_that_only_completes_the_shape_is_padding(
    counts: Counts, batch_of: Callable[[Pairs], Batch]
) -> None:
    batch = batch_of([([5, 6], [7, 8, 9]), ([5, 6, 7, 8], [4]), ([], [])])
    batch.target_output_ids[2] = PAD  # and the source is EOS alone
    filled = Counts.of(batch)
    assert filled == replace(counts, source_places=3 * 5, target_places=3 * 4)


def test_sentences_in_one_row_count_as_in_rows_of_their_own(counts: Counts) -> None:
    sources = torch.tensor([[5, 6, EOS, 5, 6, 7, 8, EOS, EOS]])
    targets = torch.tensor([[7, 8, 9, EOS, 4, EOS, PAD, PAD]])
    row = Batch(sources, torch.arange(9)[None] < 8, targets, targets, num_tokens=6)
    assert Counts.of(row) == replace(counts, source_places=9, target_places=8)
