"""Learning rate schedules: pure functions of the update."""

import math

from nmt.config.schema import (
    ConstantScheduleConfig,
    CosineScheduleConfig,
    HalvingScheduleConfig,
    InverseSqrtScheduleConfig,
    PlateauScheduleConfig,
    ScheduleConfig,
)


def learning_rate_factor(
    schedule: ScheduleConfig, update: int, max_updates: int, reductions: int = 0
) -> float:
    """Return the factor by which ``optimizer.learning_rate``, the peak, is multiplied.

    Args:
        schedule: The schedule. Each rises linearly to 1 at update ``warmup``.
        update: From 1.
        max_updates: Where ``cosine`` ends.
        reductions: How often ``plateau`` has reduced the learning rate so far.
    """
    warmup = schedule.warmup
    if update < warmup:
        return update / warmup
    match schedule:
        case ConstantScheduleConfig():
            return 1.0
        case InverseSqrtScheduleConfig():
            return math.sqrt(warmup / update)
        case CosineScheduleConfig(final_factor=final):
            done = min(1.0, (update - warmup) / max(1, max_updates - warmup))
            return final + (1 - final) * (1 + math.cos(math.pi * done)) / 2
        case PlateauScheduleConfig(factor=factor):
            return factor**reductions
        case HalvingScheduleConfig(start=start, every=every, factor=factor):
            return factor ** max(0, math.ceil((update - start) / every))
    raise AssertionError(f"no schedule for {schedule}")
