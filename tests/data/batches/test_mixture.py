"""Several sources in one epoch: the configured shares, all pairs of a source equally often."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.config.data import FilesDataConfig
from nmt.config.schema import Config
from nmt.config.source_settings import SourceConfig
from nmt.data.batches.mixture import epoch_counts, epoch_members, source_weights

SIZES, COUNTS = (7, 50, 0, 13), (10, 20, 0, 40)  # more than one pass, a part, nothing, three passes


def members(buffer: int | None, seed: int, epoch: int) -> list[Any]:
    return list(epoch_members(SIZES, COUNTS, buffer, seed, epoch))


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=6))
def test_without_weights_every_pair_is_used_once(sizes: list[int]) -> None:
    assert epoch_counts(sizes, [1.0] * len(sizes), 1.0) == sizes


@given(
    st.lists(st.tuples(st.integers(1, 10**7), st.floats(0.01, 50)), min_size=1, max_size=6),
    st.floats(1, 100),
)
def test_an_epoch_is_as_long_at_any_temperature(
    sources: list[tuple[int, float]], temperature: float
) -> None:
    sizes, weights = zip(*sources, strict=True)
    counts = epoch_counts(sizes, weights, temperature)
    assert sum(counts) == round(sum(size * weight for size, weight in sources))
    assert min(counts) >= 0


def test_a_weight_is_the_number_of_uses_per_epoch() -> None:
    assert epoch_counts([100, 30], [0.5, 3.0], 1.0) == [50, 90]


def test_temperature_takes_a_root_of_the_shares() -> None:
    # The roots of 100 and 400 are 10 and 20: a third of 500, and two thirds.
    assert epoch_counts([100, 400], [1.0, 1.0], 2.0) == [167, 333]
    # A weight acts like a size: the roots of 100 and 4 * 25 are equal.
    assert epoch_counts([100, 25], [1.0, 4.0], 2.0) == [100, 100]
    assert epoch_counts([1, 999], [1.0, 1.0], 1e9) == [500, 500]


def test_no_source_is_lost_to_rounding() -> None:
    assert epoch_counts([1, 10**6], [0.1, 1.0], 1.0) == [1, 10**6 - 1]


@pytest.mark.parametrize("buffer", [None, 8, 24, 10**6])
def test_pairs_of_a_source_are_used_equally_often_over_epochs(buffer: int | None) -> None:
    seen = np.zeros(sum(SIZES), dtype=int)
    bounds = np.cumsum((0, *SIZES))
    for epoch in range(12):
        found = np.bincount(np.concatenate(members(buffer, 1, epoch)), minlength=len(seen))
        seen += found
        for first, last, count in zip(bounds[:-1], bounds[1:], COUNTS, strict=True):
            assert found[first:last].sum() == count, f"epoch {epoch} has a different share"
            if count:
                assert np.ptp(found[first:last]) <= 1, f"unfair within epoch {epoch}"
                assert np.ptp(seen[first:last]) <= 1, f"unfair after epoch {epoch}"


@pytest.mark.parametrize("buffer", [None, 16])
def test_an_epoch_is_a_function_of_seed_and_number(buffer: int | None) -> None:
    def plain(seed: int, epoch: int) -> list[list[int]]:
        return [group.tolist() for group in members(buffer, seed, epoch)]

    assert plain(1, 3) == plain(1, 3)
    assert plain(1, 3) != plain(2, 3), "the rest of a source is the same for every seed"
    assert plain(1, 3) != plain(1, 4), "the rest of a source is the same in every epoch"


def test_a_buffer_bounds_the_groups_and_mixes_distant_pairs() -> None:
    groups = list(epoch_members((1000,), (1000,), 80, 1, 0))
    assert all(len(group) <= 80 for group in groups)
    assert len(groups) == 13  # 100 shards of 10, eight per group
    assert sorted(np.concatenate(groups).tolist()) == list(range(1000))
    assert all(np.ptp(group) > 100 for group in groups), "a group is a single range of the corpus"


@pytest.mark.parametrize("buffer", [1, 3, 7])
def test_a_small_buffer_bounds_the_groups_too(buffer: int) -> None:
    groups = list(epoch_members((20,), (20,), buffer, 1, 0))
    assert max(len(group) for group in groups) == buffer
    assert sorted(np.concatenate(groups).tolist()) == list(range(20))


def test_indices_take_four_bytes() -> None:
    assert members(None, 1, 0)[0].dtype == np.uint32


def test_weights_include_those_of_added_sources(
    run_config: Callable[..., Config], tiny_config: Callable[..., Any]
) -> None:
    data = run_config(tiny_config()).data
    assert source_weights(data) == [1.0]
    extra = {"web": {**vars(SourceConfig(path="w.tsv", weight=0.5))}}
    assert source_weights(replace(data, extra=extra)) == [1.0, 0.5]
    fields = {k: v for k, v in vars(data).items() if k != "name"}
    files = FilesDataConfig(
        **fields | {"extra": extra},
        train=SourceConfig(path="t.tsv", weight=2.0),
        valid=SourceConfig(path="v.tsv"),
        test=None,
    )
    assert source_weights(files) == [2.0, 0.5]
