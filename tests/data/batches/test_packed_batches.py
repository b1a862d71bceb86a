"""Packed batches: one shape, little padding, every pair once per epoch, a resumable order."""

import pickle
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from nmt.bench.counts import Counts
from nmt.data.batches.batch import Batch
from nmt.data.batches.batching import BatchingState, UpdateBatches
from nmt.data.batches.loader import UpdateLoader
from nmt.data.batches.loader_process import UpdateMaker
from nmt.data.batches.packed_batches import PackedBatches
from nmt.data.batches.packed_rows import MULTIPLE, RowLayout, RowShape, row_ends
from nmt.data.batches.padding import PaddedPairs
from nmt.data.batches.repack import packed_pairs, split_packed, unpacked
from nmt.data.encoded import EncodedCorpus, PieceSequences
from nmt.text.special_tokens import BOS, EOS, PAD

Lengths = np.ndarray[Any, np.dtype[np.int64]]


def corpus_of_lengths(source: Lengths, target: Lengths) -> EncodedCorpus:
    """A corpus whose pieces are numbers of their own, so that each one can be found again."""
    sides, first = [], 10
    for lengths in (source, target):
        pieces = np.arange(first, first + lengths.sum())
        sides.append(PieceSequences.from_lists(np.split(pieces, np.cumsum(lengths)[:-1])))
        first += int(lengths.sum())
    return EncodedCorpus(*sides)


def realistic_corpus(pairs: int) -> EncodedCorpus:
    """Lengths like those of captions: log-normal, similar on both sides."""
    random = np.random.default_rng(1)
    source = random.lognormal(2.6, 0.35, pairs)
    target = source * random.normal(1.05, 0.15, pairs)
    return corpus_of_lengths(*(np.clip(side, 1, 60).astype(np.int64) for side in (source, target)))


@pytest.fixture(scope="module")
def corpus() -> EncodedCorpus:
    """5,000 pairs."""
    return realistic_corpus(5000)


def epoch_of(batches: UpdateBatches, epoch: int = 0) -> list[list[PaddedPairs]]:
    batches.state = BatchingState(epoch)
    updates = UpdateMaker(batches).updates(batches.state)
    return [ready.batches for ready in islice(updates, batches.updates_per_epoch())]


def pieces_of(updates: list[list[PaddedPairs]]) -> list[int]:
    """The target pieces of an epoch, in ascending order."""
    rows = [arrays.target_output_ids for update in updates for arrays in update]
    found = np.concatenate([row.ravel() for row in rows])
    return sorted(found[found > EOS].tolist())


@pytest.mark.parametrize("settings", [{}, {"shuffle_buffer": 1000}])
@pytest.mark.parametrize("accumulation", [1, 3])
def test_all_batches_of_a_run_have_one_shape(
    corpus: EncodedCorpus, settings: dict[str, Any], accumulation: int
) -> None:
    batches = PackedBatches(corpus, 1024 * accumulation, accumulation, 1, **settings)
    shapes = {
        tuple((name, value.shape) for name, value in _arrays(arrays))
        for epoch in range(2)
        for update in epoch_of(batches, epoch)
        for arrays in update
    }
    assert len(shapes) == 1
    shape = batches.row_shape()
    assert shape.target == 1024
    assert shape.source % MULTIPLE == 0


def _arrays(arrays: PaddedPairs) -> list[tuple[str, Any]]:
    named = [*vars(arrays).items(), *vars(arrays.layout).items()]
    return [(name, value) for name, value in named if isinstance(value, np.ndarray)]


@pytest.mark.parametrize("budget", [2048, 4096])
def test_more_than_98_percent_of_a_full_row_are_target_pieces(
    corpus: EncodedCorpus, budget: int
) -> None:
    updates = epoch_of(PackedBatches(corpus, budget, 1, 1))
    full = [arrays for update in updates[:-1] for arrays in update]
    shares = [arrays.num_tokens / arrays.target_output_ids.size for arrays in full]
    assert np.mean(shares) > 0.98
    sources = [arrays.source_mask.mean() for arrays in full]
    assert np.mean(sources) > 0.94


@pytest.mark.parametrize("shuffle_buffer", [None, 700])
def test_an_epoch_contains_every_pair_once(
    corpus: EncodedCorpus, shuffle_buffer: int | None
) -> None:
    batches = PackedBatches(corpus, 1024, 2, 1, shuffle_buffer=shuffle_buffer)
    expected = sorted(corpus.target.ids.tolist())
    assert pieces_of(epoch_of(batches)) == pieces_of(epoch_of(batches, 1)) == expected


def test_the_cost_counts_what_an_epoch_contains(corpus: EncodedCorpus) -> None:
    batches = PackedBatches(corpus, 2048, 2, 1)
    updates = epoch_of(batches)
    rows = [arrays for update in updates for arrays in update]
    cost = batches.cost()
    assert cost.updates == len(updates)
    target = sum(arrays.target_output_ids.size for arrays in rows)
    source = sum(arrays.source_ids.size for arrays in rows)
    real = sum(arrays.num_tokens for arrays in rows), sum(a.source_mask.sum() for a in rows)
    assert cost.target_padding_share == pytest.approx(1 - real[0] / target)
    assert cost.padding_share == pytest.approx(1 - sum(real) / (source + target))
    counts = Counts.total(Counts.of(Batch.of_arrays(arrays)) for arrays in rows)
    lengths = corpus.source.lengths + 1, corpus.target.lengths + 1
    assert counts.sentences == len(corpus)
    assert (counts.source_tokens, counts.target_tokens) == tuple(map(sum, lengths))
    assert counts.target_padding == pytest.approx(cost.target_padding_share)
    assert counts.target_squares == (lengths[1] ** 2).sum()
    assert counts.products == (lengths[0] * lengths[1]).sum()


def test_the_order_depends_on_seed_and_epoch_alone(corpus: EncodedCorpus) -> None:
    def order(seed: int, epoch: int) -> list[list[int]]:
        planned = PackedBatches(corpus, 1024, 1, seed).updates(BatchingState(epoch))
        return [batch.tolist() for update in islice(planned, 5) for batch in update.batches]

    assert order(1, 0) == order(1, 0)
    assert order(1, 0) != order(2, 0)
    assert order(1, 0) != order(1, 1)


@pytest.mark.parametrize("shuffle_buffer", [None, 700])
@pytest.mark.parametrize("position", [1, 7, 30])
def test_a_stream_continues_from_any_update(
    corpus: EncodedCorpus, shuffle_buffer: int | None, position: int
) -> None:
    batches = PackedBatches(corpus, 1024, 2, 1, shuffle_buffer=shuffle_buffer)
    begun = list(islice(batches.updates(BatchingState()), position + 3))
    state = begun[position - 1].after
    resumed = list(islice(pickle.loads(pickle.dumps(batches)).updates(state), 3))
    for update, expected in zip(resumed, begun[position:], strict=True):
        assert update.after == expected.after
        for one, other in zip(update.batches, expected.batches, strict=True):
            assert one.tolist() == other.tolist()


@pytest.mark.parametrize("world", [2, 3, 8])
def test_processes_share_every_update_in_rows_of_one_shape(
    corpus: EncodedCorpus, world: int
) -> None:
    alone = PackedBatches(corpus, 4096, 1, 1)
    shared = [PackedBatches(corpus, 4096, 1, 1, rank=rank, world=world) for rank in range(world)]
    assert len({batches.row_shape() for batches in shared}) == 1
    assert alone.updates_per_epoch() == shared[0].updates_per_epoch()
    updates = zip(epoch_of(alone), *(epoch_of(batches) for batches in shared), strict=True)
    for whole, *shares in updates:
        assert pieces_of(shares) == pieces_of([whole])
        assert {arrays.target_output_ids.shape for share in shares for arrays in share} == {
            (1, shared[0].row_shape().target)
        }


def test_a_share_whose_source_is_too_long_becomes_two_rows() -> None:
    random = np.random.default_rng(1)
    source, target = random.integers(1, 9, 400), random.integers(1, 9, 400)
    source[::2], target[::2] = 40, 1 + target[::2] % 2  # sorted by target, long sources collect
    corpus = corpus_of_lengths(source, target)
    shared = [PackedBatches(corpus, 1024, 1, 1, rank=rank, world=4) for rank in range(4)]
    epochs = [epoch_of(batches) for batches in shared]
    expected = sorted(corpus.target.ids.tolist())
    assert sorted(piece for updates in epochs for piece in pieces_of(updates)) == expected


def test_a_mixture_is_used_as_often_as_its_weights_ask(corpus: EncodedCorpus) -> None:
    mixed = replace(corpus, sections=(4000, 1000))
    batches = PackedBatches(mixed, 1024, 1, 1, weights=(0.5, 2.0))
    pairs = np.concatenate(
        [batch for update in islice(batches, batches.updates_per_epoch()) for batch in update]
    )
    assert (pairs < 4000).sum() == 2000
    assert np.bincount(pairs[pairs >= 4000] - 4000).tolist() == [2] * 1000


def test_loader_processes_make_the_same_packed_batches(corpus: EncodedCorpus) -> None:
    def made(workers: int) -> list[Batch]:
        with UpdateLoader(PackedBatches(corpus, 1024, 1, 1), workers=workers) as loader:
            return [batch for batches, _ in islice(loader, 3) for batch in batches]

    for one, other in zip(made(0), made(1), strict=True):
        assert torch.equal(one.source_ids, other.source_ids)
        assert one.packing is not None
        assert other.packing is not None
        assert torch.equal(one.packing.source_offsets, other.packing.source_offsets)


def test_a_row_holds_the_longest_pair_of_a_small_budget() -> None:
    corpus = corpus_of_lengths(np.array([150, 2, 3]), np.array([70, 1, 300]))
    batches = PackedBatches(corpus, 10, 1, 1)
    assert pieces_of(epoch_of(batches)) == sorted(corpus.target.ids.tolist())


# ---------------------------------------------------------------------- rows and batches


@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(1, 7)), min_size=1, max_size=40),
    st.integers(18, 60),
    st.integers(18, 60),
)
def test_no_sentence_of_a_layout_has_pieces_on_one_side_only(
    pairs: list[tuple[int, int]], source: int, target: int
) -> None:
    shape = RowShape(source, target, 24, longest_source=9, longest_target=7)
    sides = np.array(pairs).T
    start = 0
    for end in row_ends(*sides, shape):
        layout = RowLayout.of(*sides[:, start:end], shape)
        lengths = np.diff(layout.source_offsets), np.diff(layout.target_offsets)
        for side, own, size, longest in zip(lengths, sides, (source, target), (9, 7), strict=True):
            assert side[: end - start].tolist() == own[start:end].tolist()
            assert side.sum() == size
            assert side.max() <= longest
        assert np.array_equal(lengths[0] > 0, lengths[1] > 0)
        real = np.diff(layout.source_offsets) > 0
        assert np.array_equal(real, np.sort(real)[::-1])  # empty sentences come last
        expected = np.concatenate([np.arange(length) for length in lengths[1]])
        assert layout.target_positions[0].tolist() == expected.tolist()
        start = end
    assert start == len(pairs)


def test_a_packed_batch_is_made_of_its_pairs(corpus: EncodedCorpus) -> None:
    batches = PackedBatches(corpus, 1024, 1, 1)
    planned = next(batches.updates(BatchingState())).batches[0]
    batch = Batch.of_arrays(next(UpdateMaker(batches).updates(BatchingState())).batches[0])
    assert batch.fixed_shape
    assert batch.packing is not None
    sources, targets = (
        offsets.tolist() for offsets in (batch.packing.source_offsets, batch.packing.target_offsets)
    )
    for number, pair in enumerate(planned.tolist()):
        source = batch.source_ids[0, sources[number] : sources[number + 1]].tolist()
        row = slice(targets[number], targets[number + 1])
        assert source == [*corpus.source[pair].tolist(), EOS]
        assert batch.target_input_ids[0, row].tolist() == [BOS, *corpus.target[pair].tolist()]
        assert batch.target_output_ids[0, row].tolist() == [*corpus.target[pair].tolist(), EOS]
    tail = targets[len(planned)]
    assert (batch.target_output_ids[0, tail:] == PAD).all()
    assert batch.num_tokens == tail
    assert int(batch.source_mask.sum()) == sources[len(planned)]


def test_map_reaches_every_tensor_of_a_packing(corpus: EncodedCorpus) -> None:
    arrays = next(UpdateMaker(PackedBatches(corpus, 1024, 1, 1)).updates(BatchingState()))
    batch = Batch.of_arrays(arrays.batches[0])
    seen: list[Tensor] = []
    batch.map(lambda tensor: seen.append(tensor) or tensor)  # type: ignore[func-returns-value]
    assert batch.packing is not None
    tensors = [value for value in vars(batch.packing).values() if isinstance(value, Tensor)]
    assert len(tensors) == 4
    assert all(any(tensor is one for one in seen) for tensor in tensors)


def test_a_packed_batch_gives_its_pairs_back(corpus: EncodedCorpus) -> None:
    batches = PackedBatches(corpus, 1024, 1, 1)
    planned = next(batches.updates(BatchingState())).batches[0]
    batch = Batch.of_arrays(next(UpdateMaker(batches).updates(BatchingState())).batches[0])
    sources, targets = packed_pairs(batch)
    assert sources.values.tolist() == np.concatenate([corpus.source[i] for i in planned]).tolist()
    assert targets.lengths.tolist() == [len(corpus.target[i]) for i in planned]
    assert unpacked(batch).num_tokens == batch.num_tokens


@pytest.mark.parametrize("limit", [1900, 1000, 600, 400])
def test_parts_of_a_packed_batch_have_one_smaller_shape_and_the_same_pairs(
    corpus: EncodedCorpus, limit: int
) -> None:
    arrays = next(UpdateMaker(PackedBatches(corpus, 1024, 1, 1)).updates(BatchingState()))
    batch = Batch.of_arrays(arrays.batches[0])
    parts = split_packed(batch, limit)
    assert parts is not None
    assert len({part.source_ids.shape + part.target_input_ids.shape for part in parts}) == 1
    assert parts[0].source_ids.size(1) + parts[0].target_input_ids.size(1) <= limit
    targets = [packed_pairs(part)[1] for part in parts]
    whole = packed_pairs(batch)[1]
    assert np.concatenate([rows.values for rows in targets]).tolist() == whole.values.tolist()
    assert sum(part.num_tokens for part in parts) == batch.num_tokens


def test_a_packed_batch_has_no_parts_shorter_than_the_longest_pair(corpus: EncodedCorpus) -> None:
    arrays = next(UpdateMaker(PackedBatches(corpus, 1024, 1, 1)).updates(BatchingState()))
    assert split_packed(Batch.of_arrays(arrays.batches[0]), 100) is None
