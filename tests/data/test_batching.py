"""Token-budget batches: every pair once an epoch, little padding, an order to resume from."""

from collections.abc import Callable
from itertools import chain, islice
from typing import Any

import numpy as np
import pytest

from nmt.data.batching import BatchingState, Indices, UpdateBatches, batches_by_length
from nmt.data.encoded import EncodedCorpus

Lengths = np.ndarray[Any, np.dtype[np.int64]]


def realistic_lengths(count: int) -> tuple[Lengths, Lengths]:
    """Lengths as in news or captions: log-normal, the target's near the source's."""
    random = np.random.default_rng(1)
    source = random.lognormal(2.8, 0.5, count)
    target = source * random.normal(1.05, 0.15, count)
    return tuple(np.clip(side, 1, 100).astype(np.int64) for side in (source, target))  # type: ignore[return-value]


def cut(lengths: tuple[Lengths, Lengths], budget: int, seed: int = 1) -> list[Indices]:
    order = np.random.default_rng(seed).permutation(len(lengths[0]))
    return batches_by_length(*lengths, order, budget)


def padded(lengths: Lengths, batch: Indices) -> int:
    """Places a batch takes, pads and EOS included."""
    return len(batch) * (int(lengths[batch].max()) + 1)


@pytest.fixture
def stream(
    make_pairs: Callable[..., Any], corpus_of: Callable[[Any], EncodedCorpus]
) -> Callable[..., UpdateBatches]:
    """A factory of streams over 200 pairs."""
    random = np.random.default_rng(2)
    corpus = corpus_of(make_pairs(*random.integers(1, 15, (2, 200)).tolist()))

    def make(accumulation: int = 1, seed: int = 1) -> UpdateBatches:
        return UpdateBatches(corpus, 60 * accumulation, accumulation, seed)

    return make


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
def test_the_budget_holds_with_pads_and_longer_pairs_stand_alone(budget: int) -> None:
    source, target = realistic_lengths(3000)
    source[:5], target[5:10] = 3 * budget, 2 * budget
    batches = cut((source, target), budget)
    for batch in batches:
        if len(batch) > 1:
            assert padded(target, batch) <= budget, "target pads were not counted"
            assert padded(source, batch) <= 2 * budget, "a long source makes memory run out"
    alone = {int(batch[0]) for batch in batches if len(batch) == 1}
    assert alone >= set(range(10)), "a pair over the budget has company"


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


def test_equals_get_new_company_with_another_order() -> None:
    lengths = np.full(60, 5), np.full(60, 5)
    first, second = (cut(lengths, 60, seed) for seed in (1, 2))
    assert {frozenset(b.tolist()) for b in first} != {frozenset(b.tolist()) for b in second}


@pytest.mark.parametrize("accumulation", [1, 3])
def test_an_epoch_holds_every_pair_once(
    stream: Callable[..., UpdateBatches], accumulation: int
) -> None:
    batches = stream(accumulation)
    for epoch in range(3):
        updates = epoch_of(batches)
        pairs = np.concatenate(list(chain(*updates))).tolist()
        assert sorted(pairs) == list(range(200)), f"epoch {epoch} repeats or leaves out pairs"
        assert all(1 <= len(update) <= accumulation for update in updates)
        assert [len(u) for u in updates[:-1]] == [accumulation] * (len(updates) - 1)
        assert batches.state == BatchingState(epoch + 1, 0)


def test_the_order_depends_on_seed_and_epoch_alone(stream: Callable[..., UpdateBatches]) -> None:
    batches = stream()
    first, second = plain(epoch_of(batches)), plain(epoch_of(batches))
    again = plain(epoch_of(stream()))
    other = plain(epoch_of(stream(seed=2)))
    assert again == first, "the same seed gives another run"
    assert second != first, "every epoch goes the same way"
    assert other != first, "the seed has no effect"


def test_batches_of_an_epoch_come_in_mixed_lengths(stream: Callable[..., UpdateBatches]) -> None:
    sizes = [sum(map(len, update)) for update in epoch_of(stream())]
    assert sizes != sorted(sizes, reverse=True), "short pairs first: a curriculum no one asked for"


@pytest.mark.parametrize("accumulation", [1, 3])
def test_a_stream_goes_on_from_its_state(
    stream: Callable[..., UpdateBatches], accumulation: int
) -> None:
    updates = stream(accumulation).updates_per_epoch()
    assert updates > 3
    whole = plain(list(islice(stream(accumulation), 2 * updates + 2)))  # in one go
    for moment in (0, 1, 3, updates - 1, updates, updates + 2):
        interrupted, resumed = stream(accumulation), stream(accumulation)
        list(islice(interrupted, moment))
        resumed.state = interrupted.state
        found = plain(list(islice(resumed, updates)))
        expected = whole[moment : moment + updates]
        assert found == expected, f"resumed after {moment} of {updates} updates: another order"
