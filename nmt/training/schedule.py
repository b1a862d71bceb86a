"""Learning-rate schedules: the settings and the formula of each.

A formula gives the factor by which the peak rate is multiplied. In all schedules, the rate rises
linearly from 0 to the peak at update ``warmup`` (`learning_rate_factor`).
"""

import math
from dataclasses import dataclass

from nmt.config.schema import ScheduleConfig
from nmt.config.setting import setting


def learning_rate_factor(
    schedule: ScheduleConfig, update: int, max_updates: int, reductions: int = 0
) -> float:
    """Return the factor by which the peak learning rate is multiplied.

    Args:
        schedule: The settings of the schedule.
        update: The number of the update, from 1.
        max_updates: Updates of the whole run.
        reductions: How often the validation score has stopped improving so far.
    """
    if update < schedule.warmup:
        return update / schedule.warmup
    return schedule.factor_after_warmup(update, max_updates, reductions)


@dataclass(kw_only=True)
class ConstantScheduleConfig(ScheduleConfig):
    """The peak rate throughout."""

    name: str = "constant"

    def factor_after_warmup(self, update: int, max_updates: int, reductions: int) -> float:
        """Return 1."""
        return 1.0


@dataclass(kw_only=True)
class InverseSqrtScheduleConfig(ScheduleConfig):
    """Peak · sqrt(warmup / update) after the warm-up (Vaswani et al. 2017, section 5.3)."""

    name: str = "inverse_sqrt"
    warmup: int = setting(
        100, "Updates from 0 to the peak learning rate.", unit="updates", at_least=1
    )

    def factor_after_warmup(self, update: int, max_updates: int, reductions: int) -> float:
        """Return sqrt(warmup / update)."""
        return math.sqrt(self.warmup / update)


@dataclass(kw_only=True)
class CosineScheduleConfig(ScheduleConfig):
    """Half a cosine from the peak rate to ``final_factor`` times it at ``training.max_updates``."""

    name: str = "cosine"
    final_factor: float = setting(
        0.05,
        "Learning rate at training.max_updates, as a share of the peak.",
        at_least=0,
        at_most=1,
    )

    def factor_after_warmup(self, update: int, max_updates: int, reductions: int) -> float:
        """Return the point of the cosine at this update."""
        final = self.final_factor
        done = min(1.0, (update - self.warmup) / max(1, max_updates - self.warmup))
        return final + (1 - final) * (1 + math.cos(math.pi * done)) / 2


@dataclass(kw_only=True)
class PlateauScheduleConfig(ScheduleConfig):
    """The peak rate, reduced after every ``patience`` validations without an improvement."""

    name: str = "plateau"
    factor: float = setting(0.5, "Factor of the learning rate at each cut.", above=0, below=1)
    patience: int = setting(
        2, "Validations without an improvement before each cut.", unit="validations", at_least=1
    )

    def factor_after_warmup(self, update: int, max_updates: int, reductions: int) -> float:
        """Return the product of all cuts so far."""
        return self.factor**reductions


@dataclass(kw_only=True)
class HalvingScheduleConfig(ScheduleConfig):
    """The peak rate until ``start``, then regular cuts (Luong et al. 2015, section 4.1)."""

    name: str = "halving"
    start: int = setting(
        300, "Last update at the peak rate; the first cut follows it.", unit="updates", at_least=0
    )
    every: int = setting(60, "Updates between two cuts.", unit="updates", at_least=1)
    factor: float = setting(0.5, "Factor of the learning rate at each cut.", above=0, below=1)

    def factor_after_warmup(self, update: int, max_updates: int, reductions: int) -> float:
        """Return the product of all cuts so far."""
        return self.factor ** max(0, math.ceil((update - self.start) / self.every))
