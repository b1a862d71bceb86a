"""Speeds exclude updates that were not quiet; blocks are paired."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from nmt.bench.measured_run import PHASES, Step
from nmt.bench.speed_statistics import WINDOW, Speed, quartiles, ratio

MakeStep = Callable[..., Step]


def test_only_quiet_updates_count(step: MakeStep) -> None:
    speed = Speed.of([step(100), step(10, others=1.0), step(100)])
    assert (speed.updates, speed.quiet_updates) == (3, 2)
    assert speed.tokens_per_second == pytest.approx(100)
    assert speed.mean_tokens_per_second == pytest.approx(100)
    assert speed.counts.target_tokens == 200
    assert speed.others == pytest.approx(1 / 3)


def test_without_quiet_updates_all_updates_count_and_this_is_reported(step: MakeStep) -> None:
    speed = Speed.of([step(100, others=1.0), step(300, others=1.0)])
    assert speed.quiet_updates == 0
    assert speed.counts.target_tokens == 400
    assert speed.tokens_per_second == pytest.approx(200)


def test_one_slow_window_does_not_change_the_median(step: MakeStep) -> None:
    usual = [step(100)] * (2 * WINDOW)
    speed = Speed.of([*usual, *[step(100, seconds=50.0)] * WINDOW])
    assert speed.tokens_per_second == pytest.approx(100)
    assert speed.mean_tokens_per_second < 50


def test_the_parts_of_an_update_add_up_to_it(step: MakeStep) -> None:
    speed = Speed.of([step(100), step(50, seconds=3.0)])
    assert set(speed.phases) == set(PHASES)
    assert sum(speed.phases.values()) == pytest.approx(speed.seconds / 2)


def test_equal_blocks_pair_up(step: MakeStep) -> None:
    blocks = [[step(90), step(110)], [step(40, seconds=0.7)], [step(70, seconds=9.0)]]
    found = ratio(blocks, blocks)
    assert found.pairs == [1.0, 1.0, 1.0]
    assert (found.low, found.median, found.high) == (1.0, 1.0, 1.0)
    assert found.left_out == 0


def test_a_pair_with_a_block_that_was_not_quiet_is_left_out(step: MakeStep) -> None:
    fast, slow, busy = [step(200)], [step(100)], [step(1, others=1.0)]
    found = ratio([fast, fast, fast], [slow, busy, slow])
    assert found.pairs == pytest.approx([2.0, 2.0])
    assert found.left_out == 1
    assert ratio([busy], [busy]).pairs == [1.0]  # no update was quiet, so all of them count


def test_the_ratio_of_b_to_a_is_the_inverse(step: MakeStep) -> None:
    one, other = [[step(n)] for n in (100, 120, 90)], [[step(n)] for n in (50, 55, 60)]
    assert ratio(one, other).median == pytest.approx(1 / ratio(other, one).median)


def test_quartiles_lie_around_the_median() -> None:
    assert quartiles([3.0]) == (3.0, 3.0, 3.0)
    low, median, high = quartiles([5.0, 1.0, 2.0, 4.0, 3.0])
    assert (low, median, high) == (2.0, 3.0, 4.0)


def test_a_block_of_updates_counts_as_its_updates(step: MakeStep) -> None:
    blocks = [replace(step(400, seconds=2.0), updates=4), replace(step(50), updates=1)]
    speed = Speed.of(blocks)
    assert (speed.updates, speed.quiet_updates) == (5, 5)
    assert speed.tokens_per_second == pytest.approx(450 / 3)  # one window of five updates
    parts = sum(one.phases["data"] * one.updates for one in blocks)
    assert speed.phases["data"] == pytest.approx(parts / 5)
