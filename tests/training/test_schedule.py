"""Learning rates by update, as fractions of the peak."""

import pytest

from nmt.config.schema import ScheduleConfig
from nmt.training.schedule import (
    ConstantScheduleConfig,
    CosineScheduleConfig,
    HalvingScheduleConfig,
    InverseSqrtScheduleConfig,
    PlateauScheduleConfig,
    learning_rate_factor,
)

MAX_UPDATES = 20

ALL = {
    "constant": ConstantScheduleConfig(warmup=4),
    "inverse_sqrt": InverseSqrtScheduleConfig(warmup=4),
    "cosine": CosineScheduleConfig(warmup=4, final_factor=0.1),
    "plateau": PlateauScheduleConfig(warmup=4, factor=0.5, patience=2),
    "halving": HalvingScheduleConfig(warmup=4, start=10, every=3, factor=0.5),
}


def factor(schedule: ScheduleConfig, update: int, reductions: int = 0) -> float:
    return learning_rate_factor(schedule, update, MAX_UPDATES, reductions)


@pytest.mark.parametrize("name", ALL)
def test_the_rate_rises_in_equal_steps_to_the_peak(name: str) -> None:
    # 4 updates of warm-up: a quarter of the peak each, the first update already at one quarter.
    assert [factor(ALL[name], update) for update in (1, 2, 3, 4)] == [1 / 4, 2 / 4, 3 / 4, 1]


@pytest.mark.parametrize(
    ("name", "update", "expected"),
    [
        ("constant", 5, 1),
        ("constant", 1000, 1),
        ("inverse_sqrt", 9, 2 / 3),  # sqrt(4 / 9)
        ("inverse_sqrt", 16, 1 / 2),  # sqrt(4 / 16)
        ("inverse_sqrt", 400, 1 / 10),  # sqrt(4 / 400)
        # 16 updates from the peak to 0.1 of it, along 0.1 + 0.9 (1 + cos(pi x)) / 2.
        ("halving", 10, 1),  # the last update before the first cut
        ("halving", 11, 1 / 2),
        ("halving", 13, 1 / 2),  # three updates per cut
        ("halving", 14, 1 / 4),
        ("halving", 17, 1 / 8),
        ("cosine", 12, 0.1 + 0.9 / 2),  # half-way: cos = 0
        ("cosine", 20, 0.1),  # the end: cos = -1
        ("cosine", 1000, 0.1),  # after the end it does not rise again
    ],
)
def test_after_the_warm_up_it_falls_as_described(name: str, update: int, expected: float) -> None:
    assert factor(ALL[name], update) == pytest.approx(expected)


@pytest.mark.parametrize("reductions", [0, 1, 3])
def test_plateau_multiplies_once_per_reduction(reductions: int) -> None:
    assert factor(ALL["plateau"], 10, reductions) == 0.5**reductions
    for name in ALL.keys() - {"plateau"}:
        assert factor(ALL[name], 10, reductions) == factor(ALL[name], 10), name


def test_a_cosine_decreases_steadily_to_its_end() -> None:
    factors = [factor(ALL["cosine"], update) for update in range(4, MAX_UPDATES + 1)]
    falls = [before - after for before, after in zip(factors, factors[1:], strict=False)]
    assert all(fall > 0 for fall in falls)
    # The steepest slope of the half cosine is 0.9 pi / 2 over 16 updates.
    assert max(falls) < 0.9 * 3.1416 / 2 / 16


def test_halving_reaches_luongs_last_rate() -> None:
    # Ten epochs of 100 updates, halved in each after the fifth: epochs 1 to 10 see these rates.
    schedule = HalvingScheduleConfig(warmup=0, start=500, every=100, factor=0.5)
    expected = [1, 1, 1, 1, 1, 1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 32]
    for place in (1, 50, 100):  # the first, a middle and the last update of each epoch
        assert [factor(schedule, 100 * epoch + place) for epoch in range(10)] == expected


@pytest.mark.parametrize(
    "schedule",
    [
        ConstantScheduleConfig(warmup=0),
        CosineScheduleConfig(warmup=0, final_factor=0.0),
        PlateauScheduleConfig(warmup=0, factor=0.5, patience=1),
        HalvingScheduleConfig(warmup=0, start=0, every=1, factor=0.5),
        CosineScheduleConfig(warmup=30, final_factor=0.0),  # longer than the run
    ],
    ids=lambda schedule: f"{schedule.name}-{schedule.warmup}",
)
def test_no_warm_up_and_a_very_long_one_stay_in_range(schedule: ScheduleConfig) -> None:
    factors = [factor(schedule, update) for update in range(1, MAX_UPDATES + 1)]
    assert all(0 <= value <= 1 for value in factors)
    assert factors[0] > 0, "the first update would have no effect"
