"""Bucketed batches: few shapes, little padding, every pair once, the same loss and gradient."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nmt.config.recipe_settings import GuidedAlignmentConfig
from nmt.data.batches.batch import Batch, collate
from nmt.data.batches.batching import BatchingState, UpdateBatches
from nmt.data.batches.bucket_shapes import MOST_SHAPES, Shapes, choose_shapes
from nmt.data.batches.bucketed_batches import BucketedBatches
from nmt.data.batches.loader_process import UpdateMaker
from nmt.data.batches.padding import PaddedPairs, RaggedRows, pad_pairs
from nmt.data.encoded import EncodedCorpus
from nmt.model.losses.loss import sequence_loss
from nmt.model.seq2seq import TranslationModel
from nmt.text.special_tokens import BOS, EOS, PAD

PAIRS, LONGEST, BUDGET = 1500, 24, 400


@pytest.fixture
def corpus(
    make_pairs: Callable[..., Any], corpus_of: Callable[[Any], EncodedCorpus]
) -> EncodedCorpus:
    """Targets are about as long as their sources, as in a translation."""
    random = np.random.default_rng(3)
    source = random.integers(1, LONGEST, PAIRS)
    target = np.clip(source + random.integers(-3, 4, PAIRS), 1, LONGEST)
    return corpus_of(make_pairs(source.tolist(), target.tolist()))


def epoch_of(batches: UpdateBatches, epoch: int = 0) -> list[Any]:
    found = []
    for update in batches.updates(BatchingState(epoch)):
        if update.epoch != epoch:
            return found
        found.append(update)
    raise AssertionError


def arrays_of(batches: UpdateBatches, updates: int) -> list[Any]:
    made = UpdateMaker(batches).updates(BatchingState())
    return [next(made).batches for _ in range(updates)]


def shape_of(arrays: PaddedPairs) -> tuple[int, int, int]:
    rows, source = arrays.source_ids.shape
    return rows, source, arrays.target_output_ids.shape[1]


def shapes_of(shapes: Shapes) -> set[tuple[int, ...]]:
    both = zip(shapes.rows.tolist(), shapes.widths.tolist(), strict=True)
    return {(rows, *widths) for rows, widths in both}


@pytest.mark.parametrize("buffer", [None, 300])
def test_every_pair_comes_once_in_every_epoch_and_orders_differ(
    corpus: EncodedCorpus, buffer: int | None
) -> None:
    batches = BucketedBatches(corpus, BUDGET, 1, seed=5, shuffle_buffer=buffer)
    epochs = [epoch_of(batches, epoch) for epoch in range(2)]
    for epoch in epochs:
        seen = Counter(np.concatenate([b for update in epoch for b in update.batches]).tolist())
        assert seen == Counter(range(PAIRS))
    assert len({str([u.batches for u in epoch]) for epoch in epochs}) == 2


def test_shapes_are_few_and_padding_is_that_of_the_cost(corpus: EncodedCorpus) -> None:
    batches = BucketedBatches(corpus, BUDGET, 2, seed=5)
    cost = batches.cost()
    assert cost.updates == len(epoch_of(batches)) == batches.updates_per_epoch()
    made = [one for update in arrays_of(batches, cost.updates) for one in update]
    sizes = {shape_of(one) for one in made}
    assert 2 <= len(sizes) <= len(batches.shapes()) <= MOST_SHAPES
    assert sizes <= shapes_of(batches.shapes())
    assert all(one.fixed_shape for one in made)
    slots = sum(one.source_ids.size + one.target_output_ids.size for one in made)
    real = len(corpus.source.ids) + len(corpus.target.ids) + 2 * PAIRS
    assert cost.padding_share == pytest.approx(1 - real / slots)
    targets = sum(one.target_output_ids.size for one in made)
    assert cost.target_padding_share == pytest.approx(
        1 - (len(corpus.target.ids) + PAIRS) / targets
    )
    largest = max(one.target_output_ids.size for one in made)
    rows, width = cost.largest_batch
    assert any(
        one.target_output_ids.size == largest
        and one.target_output_ids.shape[0] == rows
        and max(one.target_output_ids.shape[1], one.source_ids.shape[1]) == width
        for one in made
    )


def test_padding_is_bounded_by_the_distance_of_the_edges(corpus: EncodedCorpus) -> None:
    """A pair in its own shape has fewer pads than the steps to the next smaller shapes.

    Pairs that move to a larger shape are fewer than a batch per shape.
    """
    batches = BucketedBatches(corpus, BUDGET, 1, seed=5)
    shapes = batches.shapes()
    sides = np.stack([corpus.source.lengths + 1, corpus.target.lengths + 1], axis=1)
    own = shapes.of_lengths(sides)
    pads = int((shapes.widths[own] - sides).sum())
    moved = int((shapes.rows * shapes.slots).sum())  # a batch of each shape, all of it pads
    cost = batches.cost()
    slots = int(sides.sum() / (1 - cost.padding_share) + 0.5)
    assert slots - sides.sum() <= pads + moved
    assert cost.padding_share < 0.25


def test_more_shapes_never_have_more_slots_than_one(corpus: EncodedCorpus) -> None:
    sides = np.stack([corpus.source.lengths + 1, corpus.target.lengths + 1], axis=1)
    lengths, counts = np.unique(sides, axis=0, return_counts=True)

    def slots(shapes: Shapes) -> int:
        found = shapes.of_lengths(lengths)
        return shapes.total_slots(np.bincount(found, weights=counts).astype(np.int64))

    one, several = (choose_shapes(lengths, counts, BUDGET, most) for most in (1, MOST_SHAPES))
    assert one.widths.tolist() == [lengths.max(axis=0).tolist()]
    assert len(several) > 3
    assert 1.5 * slots(several) < slots(one)
    assert (several.rows * several.widths[:, 1] <= BUDGET).all()


def test_few_batches_get_few_shapes(corpus: EncodedCorpus) -> None:
    numbers = [len(BucketedBatches(corpus, b, 1, seed=5).shapes()) for b in (400, 4000, 40000)]
    assert numbers[0] > numbers[1] >= numbers[2] == 1


def test_an_epoch_can_be_resumed_anywhere(corpus: EncodedCorpus) -> None:
    batches = BucketedBatches(corpus, BUDGET, 2, seed=5, shuffle_buffer=300)
    whole = epoch_of(batches)
    for position in (0, 7, len(whole) - 1):
        rest = next(batches.updates(BatchingState(0, position)))
        assert rest.after == whole[position].after
        for one, other in zip(rest.batches, whole[position].batches, strict=True):
            assert np.array_equal(one, other)


def test_processes_share_rows_evenly(corpus: EncodedCorpus) -> None:
    alone = epoch_of(BucketedBatches(corpus, BUDGET, 1, seed=5))
    shares = [BucketedBatches(corpus, BUDGET, 1, seed=5, rank=rank, world=3) for rank in range(3)]
    together = [epoch_of(share) for share in shares]
    for update, *parts in zip(alone, *together, strict=True):
        joined = np.concatenate([batch for part in parts for batch in part.batches])
        assert sorted(joined) == sorted(update.batches[0])
        sizes = [sum(len(batch) for batch in part.batches) for part in parts]
        assert max(sizes) - min(sizes) <= 1
    known = shapes_of(shares[0].shapes().part(3))
    for share in shares:
        for update in arrays_of(share, len(alone)):
            assert {shape_of(one) for one in update} <= known


def test_an_empty_row_has_eos_as_its_source_and_no_target() -> None:
    rows = [[5, 6], [7]]
    padded = pad_pairs(RaggedRows.of(rows), RaggedRows.of(rows)).filled(4, 5, 6)
    assert padded.source_ids.shape == (4, 5)
    assert padded.source_ids[2:].tolist() == [[EOS, PAD, PAD, PAD, PAD]] * 2
    assert padded.source_mask[2:].sum(axis=1).tolist() == [1, 1]
    assert padded.target_input_ids[2:].tolist() == [[BOS, *[PAD] * 5]] * 2
    assert (padded.target_output_ids[2:] == PAD).all()
    assert padded.num_tokens == 5


def test_loss_and_gradient_are_those_of_the_plain_batch(model: TranslationModel) -> None:
    """Of every kind of model, with losses on attention where there is any."""
    model = model.double()
    random = np.random.default_rng(1)
    sides = [
        [random.integers(4, 23, length).tolist() for length in lengths]
        for lengths in ((4, 7, 2, 1), (3, 1, 6, 2))
    ]
    links = [np.array([[0, 0]], dtype=np.int32)] * 4
    arrays = pad_pairs(*(RaggedRows.of(side) for side in sides), links)
    bucketed = Batch.of_arrays(arrays.filled(6, 10, 9))
    assert bucketed.fixed_shape
    guided = GuidedAlignmentConfig(weight=0.3) if model.decoder.attends else None
    found: list[list[Tensor]] = []
    for batch in (collate(*sides, links), bucketed):
        loss = sequence_loss(model, batch, 0.1, guided=guided, coverage_weight=0.2)
        parameters = [p for p in model.parameters() if p.requires_grad]
        gradients = torch.autograd.grad(loss.smoothed, parameters, allow_unused=True)
        both = loss.smoothed.detach(), loss.negative_log_likelihood
        found.append([*both, *(g for g in gradients if g is not None)])
        assert loss.num_tokens == 16
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one.double(), other.double(), rtol=1e-5, atol=1e-6)
