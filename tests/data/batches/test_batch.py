"""Batches: targets are shifted by one, masks are true on real pieces."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from nmt.data.batches.batch import IGNORED, collate, collate_pairs, pad, source_batch
from nmt.data.encoded import EncodedCorpus, PieceSequences
from nmt.text.special_tokens import BOS, EOS, PAD


def test_sources_end_in_eos_and_the_mask_covers_it() -> None:
    ids, mask = source_batch([[7, 8, 9], [5]])
    assert ids.tolist() == [[7, 8, 9, EOS], [5, EOS, PAD, PAD]]
    assert mask.tolist() == [[True] * 4, [True, True, False, False]]
    assert mask.dtype == torch.bool


def test_targets_are_shifted_by_one() -> None:
    batch = collate([[4], [4]], [[7, 8, 9], [5]])
    assert batch.target_input_ids.tolist() == [[BOS, 7, 8, 9], [BOS, 5, PAD, PAD]]
    assert batch.target_output_ids.tolist() == [[7, 8, 9, EOS], [5, EOS, PAD, PAD]]
    assert batch.num_tokens == 6, "each target with its EOS, without pads"


def test_a_target_without_pieces_is_eos_alone() -> None:
    batch = collate([[4]], [[]])
    assert batch.target_input_ids.tolist() == [[BOS]]
    assert batch.target_output_ids.tolist() == [[EOS]]
    assert batch.num_tokens == 1


def test_padding_is_as_wide_as_the_widest_and_no_wider() -> None:
    assert pad([[5, 6], [7]]).tolist() == [[5, 6], [7, PAD]]
    assert pad([[5]], first=BOS, last=EOS).tolist() == [[BOS, 5, EOS]]
    assert pad([[5]]).dtype == torch.int64, "an embedding requires 64-bit ids"


def test_pairs_of_a_corpus_keep_together() -> None:
    sources, targets = [[10], [11, 11], [12]], [[20], [21], [22, 22, 22]]
    corpus = EncodedCorpus(PieceSequences.from_lists(sources), PieceSequences.from_lists(targets))
    batch = collate_pairs(corpus, np.asarray([2, 0]))
    expected = collate([[12], [10]], [[22, 22, 22], [20]])
    assert torch.equal(batch.source_ids, expected.source_ids)
    assert torch.equal(batch.target_output_ids, expected.target_output_ids)


def test_a_batch_moves_completely() -> None:
    moved = collate([[4]], [[5]]).to(torch.device("meta"))
    for name in ("source_ids", "source_mask", "target_input_ids", "target_output_ids"):
        assert getattr(moved, name).device.type == "meta", f"{name} was not moved"
    assert moved.target_positions is not None
    assert moved.target_positions.device.type == "meta"
    assert moved.source_lengths is not None
    assert moved.source_lengths.tolist() == [2], "lengths stay on the CPU; EOS counts"


def test_target_positions_are_those_of_pieces_to_predict() -> None:
    batch = collate([[4], [4]], [[7, 8], [5]])
    for given in (batch, batch.to(torch.device("cpu"))):
        assert given.at_targets(batch.target_output_ids).tolist() == [7, 8, EOS, 5, EOS]
    hidden = torch.rand(2, 3, 4)
    assert torch.equal(batch.at_targets(hidden), hidden[batch.target_output_ids != PAD])


@pytest.mark.parametrize("kind", [np.uint16, np.int32])
@pytest.mark.parametrize("index", [np.int64, np.uint32])
def test_a_gathered_batch_is_the_batch_of_its_lists(kind: type, index: type) -> None:
    random = np.random.default_rng(1)
    rows = [
        [random.integers(4, 60_000 if kind is np.uint16 else 90_000, n).tolist() for n in lengths]
        for lengths in random.integers(0, 9, (2, 50))
    ]
    source, target = (PieceSequences.from_lists(side) for side in rows)
    corpus = EncodedCorpus(
        PieceSequences(source.ids.astype(kind), source.offsets),
        PieceSequences(target.ids.astype(kind), target.offsets),
    )
    chosen = random.permutation(50)[:20].astype(index)
    found = collate_pairs(corpus, chosen)
    expected = collate([rows[0][i] for i in chosen], [rows[1][i] for i in chosen])
    assert found.num_tokens == expected.num_tokens
    for name in ("source_ids", "source_mask", "target_input_ids", "target_output_ids"):
        mine, other = getattr(found, name), getattr(expected, name)
        assert mine.dtype == other.dtype
        assert torch.equal(mine, other), name
    assert torch.equal(found.source_mask, found.source_ids != PAD)
    assert found.target_output_ids.eq(EOS).sum() == 20


def test_a_batch_of_fixed_shape_reads_all_positions_and_ignores_pads() -> None:
    batch = replace(collate([[4], [4]], [[7, 8], [5]]), fixed_shape=True)
    assert batch.targets().tolist() == [7, 8, EOS, 5, EOS, IGNORED]
    hidden = torch.randn(2, 3, 4)
    assert torch.equal(batch.at_targets(hidden), hidden.flatten(0, 1))
    assert batch.to(torch.device("cpu")).target_positions is None, "their number would vary"
