"""Token-budget batches: every pair once per epoch, little padding, a resumable order."""

import pickle
from collections.abc import Callable
from dataclasses import replace
from itertools import chain, islice
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.data.batches.batching import BatchingState, UpdateBatches
from nmt.data.batches.length_batches import Indices, LengthKeys, batches_by_length
from nmt.data.encoded import EncodedCorpus

Lengths = np.ndarray[Any, np.dtype[np.int64]]


def realistic_lengths(count: int) -> tuple[Lengths, Lengths]:
    """Lengths like those of news or captions: log-normal, similar on both sides."""
    random = np.random.default_rng(1)
    source = random.lognormal(2.8, 0.5, count)
    target = source * random.normal(1.05, 0.15, count)
    return tuple(np.clip(side, 1, 100).astype(np.int64) for side in (source, target))  # type: ignore[return-value]


def cut(lengths: tuple[Lengths, Lengths], budget: int, seed: int = 1) -> list[Indices]:
    order = np.random.default_rng(seed).permutation(len(lengths[0]))
    return batches_by_length(*lengths, order, budget)


def padded(lengths: Lengths, batch: Indices) -> int:
    """Slots of a batch, including PAD and EOS."""
    return len(batch) * (int(lengths[batch].max()) + 1)


@pytest.fixture
def stream(
    make_pairs: Callable[..., Any], corpus_of: Callable[[Any], EncodedCorpus]
) -> Callable[..., UpdateBatches]:
    """A factory of streams over 200 pairs."""
    random = np.random.default_rng(2)
    corpus = corpus_of(make_pairs(*random.integers(1, 15, (2, 200)).tolist()))

    def make(
        accumulation: int = 1, seed: int = 1, sections: tuple[int, ...] = (), **settings: Any
    ) -> UpdateBatches:
        whole = replace(corpus, sections=sections)
        return UpdateBatches(whole, 60 * accumulation, accumulation, seed, **settings)

    return make


BUFFERS = [None, 40, 10**6]  # no buffer, many small buffers, one buffer for everything


def plain(updates: list[list[Indices]]) -> list[list[list[int]]]:
    return [[batch.tolist() for batch in update] for update in updates]


def epoch_of(stream: UpdateBatches) -> list[list[Indices]]:
    return list(islice(stream, stream.updates_per_epoch()))


@pytest.mark.parametrize("budget", [1, 37, 512, 10**9])
def test_every_pair_is_in_one_batch(budget: int) -> None:
    lengths = realistic_lengths(700)
    batches = cut(lengths, budget)
    assert sorted(np.concatenate(batches).tolist()) == list(range(700))
    assert all(len(batch) for batch in batches)


@pytest.mark.parametrize("budget", [37, 512, 4096])
def test_the_budget_includes_padding_and_longer_pairs_are_alone(budget: int) -> None:
    source, target = realistic_lengths(3000)
    source[:5], target[5:10] = 3 * budget, 2 * budget
    batches = cut((source, target), budget)
    for batch in batches:
        if len(batch) > 1:
            assert padded(target, batch) <= budget, "target pads were not counted"
            assert padded(source, batch) <= 2 * budget, "a long source makes memory run out"
    alone = {int(batch[0]) for batch in batches if len(batch) == 1}
    assert alone >= set(range(10)), "a pair over the budget shares its batch"


def test_batches_are_filled() -> None:
    source, target = realistic_lengths(3000)
    batches = cut((source, target), 512)
    filled = sum(padded(target, batch) for batch in batches) / (512 * len(batches))
    assert filled > 0.85, f"only {filled:.0%} of the budget is used"


def test_little_is_padding() -> None:
    source, target = realistic_lengths(20_000)
    batches = cut((source, target), 2048)

    def share_of_padding(lengths: Lengths) -> float:
        return 1 - float((lengths + 1).sum()) / sum(padded(lengths, batch) for batch in batches)

    assert share_of_padding(target) < 0.05, f"{share_of_padding(target):.1%} of targets is pads"
    assert share_of_padding(source) < 0.05, f"{share_of_padding(source):.1%} of sources is pads"


def test_pairs_of_equal_length_are_batched_differently_in_another_order() -> None:
    lengths = np.full(60, 5), np.full(60, 5)
    first, second = (cut(lengths, 60, seed) for seed in (1, 2))
    assert {frozenset(b.tolist()) for b in first} != {frozenset(b.tolist()) for b in second}


@pytest.mark.parametrize("buffer", BUFFERS)
@pytest.mark.parametrize("accumulation", [1, 3])
def test_an_epoch_contains_every_pair_once(
    stream: Callable[..., UpdateBatches], accumulation: int, buffer: int | None
) -> None:
    batches = stream(accumulation, shuffle_buffer=buffer)
    for epoch in range(3):
        updates = epoch_of(batches)
        pairs = np.concatenate(list(chain(*updates))).tolist()
        assert sorted(pairs) == list(range(200)), f"epoch {epoch} repeats or leaves out pairs"
        assert all(1 <= len(update) <= accumulation for update in updates)
        assert [len(u) for u in updates[:-1]] == [accumulation] * (len(updates) - 1)
        assert batches.state == BatchingState(epoch + 1, 0)


@pytest.mark.parametrize("buffer", BUFFERS)
def test_the_order_depends_on_seed_and_epoch_alone(
    stream: Callable[..., UpdateBatches], buffer: int | None
) -> None:
    batches = stream(shuffle_buffer=buffer)
    first, second = plain(epoch_of(batches)), plain(epoch_of(batches))
    again = plain(epoch_of(stream(shuffle_buffer=buffer)))
    other = plain(epoch_of(stream(seed=2, shuffle_buffer=buffer)))
    assert again == first, "the same seed gives different epochs"
    assert second != first, "every epoch has the same order"
    assert other != first, "the seed has no effect"


def test_batches_of_an_epoch_come_in_mixed_lengths(stream: Callable[..., UpdateBatches]) -> None:
    sizes = [sum(map(len, update)) for update in epoch_of(stream())]
    assert sizes != sorted(sizes, reverse=True), "short pairs come first"


@pytest.mark.parametrize("buffer", BUFFERS)
@pytest.mark.parametrize("accumulation", [1, 3])
def test_a_stream_continues_from_its_state(
    stream: Callable[..., UpdateBatches], accumulation: int, buffer: int | None
) -> None:
    def fresh() -> UpdateBatches:
        return stream(accumulation, shuffle_buffer=buffer)

    updates = fresh().updates_per_epoch()
    assert updates > 3
    whole = plain(list(islice(fresh(), 2 * updates + 2)))  # without interruption
    for moment in (0, 1, 3, updates - 1, updates, updates + 2):
        interrupted, resumed = fresh(), fresh()
        list(islice(interrupted, moment))
        resumed.state = interrupted.state
        found = plain(list(islice(resumed, updates)))
        expected = whole[moment : moment + updates]
        assert found == expected, f"resumed after {moment} of {updates} updates: the order differs"


@pytest.mark.parametrize("buffer", BUFFERS)
def test_processes_share_every_batch_and_hand_over_to_any_number(
    stream: Callable[..., UpdateBatches], buffer: int | None
) -> None:
    whole = list(islice(stream(2, shuffle_buffer=buffer), 12))
    for world in (2, 4, 50):  # 50: more than most batches have rows
        state = BatchingState()
        for start, count, processes in ((0, 5, world), (5, 7, world // 2)):
            shares = [
                stream(2, shuffle_buffer=buffer, rank=rank, world=processes)
                for rank in range(processes)
            ]
            for share in shares:
                share.state = state
            taken = [list(islice(share, count)) for share in shares]
            assert len({share.state for share in shares}) == 1, "the states of the processes differ"
            for number, parts in enumerate(zip(*taken, strict=True), start):
                for batch, pieces in zip(whole[number], zip(*parts, strict=True), strict=True):
                    joined = sorted(np.concatenate(pieces).tolist())
                    assert joined == sorted(batch.tolist()), (
                        "the pairs differ from those of one process"
                    )
                    sizes = [len(piece) for piece in pieces]
                    assert max(sizes) - min(sizes) <= 1, "the work is shared unequally"
            state = shares[0].state


def test_a_state_after_the_end_of_an_epoch_continues_with_the_next(
    stream: Callable[..., UpdateBatches],
) -> None:
    # As if a run is resumed with larger batches.
    beyond = next(stream().updates(BatchingState(0, 10**6)))
    assert beyond.epoch == 1
    assert beyond.after == BatchingState(1, 1)


@pytest.mark.parametrize("buffer", BUFFERS)
def test_a_source_of_weight_two_is_used_twice(
    stream: Callable[..., UpdateBatches], buffer: int | None
) -> None:
    batches = stream(sections=(150, 50), weights=(1.0, 2.0), shuffle_buffer=buffer)
    pairs = np.concatenate(list(chain(*epoch_of(batches))))
    assert np.bincount(pairs).tolist() == [1] * 150 + [2] * 50


def test_weights_must_match_the_sources(stream: Callable[..., UpdateBatches]) -> None:
    with pytest.raises(ValueError, match="weights"):
        stream(sections=(150, 50), weights=(1.0,))
    with pytest.raises(ValueError, match="sources"):
        stream(sections=(150, 60), weights=(1.0, 1.0))


@pytest.mark.parametrize("buffer", BUFFERS)
def test_the_cost_is_that_of_the_batches(
    stream: Callable[..., UpdateBatches], buffer: int | None
) -> None:
    batches = stream(2, shuffle_buffer=buffer)
    cost, lengths = batches.cost(), (batches.corpus.source.lengths, batches.corpus.target.lengths)
    updates = epoch_of(batches)
    assert cost.updates == len(updates)
    places = [sum(padded(side, b) for b in chain(*updates)) for side in lengths]
    real = [int(side.sum()) + 200 for side in lengths]
    assert cost.padding_share == pytest.approx(1 - sum(real) / sum(places))
    assert cost.target_padding_share == pytest.approx(1 - real[1] / places[1])
    largest = max(chain(*updates), key=lambda batch: padded(lengths[1], batch))
    assert np.prod(cost.largest_batch) >= padded(lengths[1], largest)
    assert cost.order_bytes <= 4 * 200


def test_a_pickled_stream_excludes_its_lengths(stream: Callable[..., UpdateBatches]) -> None:
    batches = stream()
    before = len(pickle.dumps(batches))
    expected = plain(list(islice(batches, 5)))
    assert len(pickle.dumps(batches)) - before < 100
    arrived = pickle.loads(pickle.dumps(stream()))
    assert plain(list(islice(arrived, 5))) == expected


@given(st.lists(st.tuples(st.integers(0, 70_000), st.integers(0, 70_000)), min_size=1))
def test_a_key_encodes_both_lengths(pairs: list[tuple[int, int]]) -> None:
    sources, targets = np.array(pairs).T
    keys = LengthKeys.of_lengths(sources, targets)
    found = keys.lengths(keys.keys.astype(np.int64))
    assert found[0].tolist() == (sources + 1).tolist()
    assert found[1].tolist() == (targets + 1).tolist()


def test_keys_of_common_lengths_take_two_bytes_and_adjacent_keys_have_adjacent_lengths() -> None:
    sides = np.mgrid[0:256, 0:256].reshape(2, -1)  # EOS makes 256 of 255
    keys = LengthKeys.of_lengths(*sides)
    assert keys.keys.dtype == np.uint16
    assert sorted(keys.keys.tolist()) == list(range(256 * 256)), "two pairs of lengths share a key"
    source, target = LengthKeys.lengths(np.arange(256 * 256))
    assert np.abs(np.diff(source)).max() == 1, "neighbours differ by more than a piece"
    assert np.abs(np.diff(target)).max() == 1
