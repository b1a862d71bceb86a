"""scripts/draw_schedules: the schedules that it draws are those of the trainer."""

from collections.abc import Callable
from typing import Any


def test_the_plateau_rate_is_cut_only_after_the_last_improvement(
    load_script: Callable[[str], Any],
) -> None:
    schedules = load_script("draw_schedules")
    factors = schedules.factors(["schedule=plateau"])
    flat = factors[schedules.LAST_GAIN - schedules.VALIDATE_EVERY : schedules.LAST_GAIN]
    assert len(set(flat)) == 1
    assert factors[-1] < flat[0] == max(factors)
    assert all(0 < factor <= 1 for factor in factors)
