"""Converts overrides in Hydra's grammar to a search space of Optuna."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep

from nmt.errors import UserError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

SearchSpace = dict[str, "BaseDistribution"]
"""The distribution of each searched setting, by its key."""


def split_overrides(overrides: Iterable[Override]) -> tuple[SearchSpace, list[str]]:
    """Return the search space and the overrides that are the same in every trial.

    ``interval`` is a range of floats, ``int(interval(...))`` a range of integers. ``tag(log, ...)``
    searches a range on a logarithmic scale. ``range`` excludes its end, as in Hydra. A list of
    values is a categorical choice. The last override of a key counts.

    Raises:
        UserError: A range is empty or invalid, or no setting has a range.
    """
    space: SearchSpace = {}
    fixed: dict[str, str] = {}
    for override in overrides:
        key = override.get_key_element()
        space.pop(key, None)
        fixed.pop(key, None)
        listed = list(override.sweep_string_iterator()) if override.is_choice_sweep() else []
        if not override.is_sweep_override():
            fixed[key] = f"{key}={override.get_value_element_as_str()}"
        elif len(listed) == 1:
            fixed[key] = f"{key}={listed[0]}"
        else:
            space[key] = _distribution(key, override.value(), listed)
    if not space:
        raise UserError(
            "hydra/sweeper=optuna has nothing to search: give a setting a range, e.g. "
            "optimizer.learning_rate='tag(log, interval(1e-4, 1e-2))', or values, e.g. seed=1,2"
        )
    return space, list(fixed.values())


def _distribution(key: str, value: Any, listed: list[str]) -> BaseDistribution:
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    low: Any
    high: Any
    try:
        if isinstance(value, IntervalSweep):
            low, high, step = value.start, value.end, None
        elif isinstance(value, RangeSweep):
            steps = list(value.range())
            low, high, step = steps[0], steps[-1], value.step
        else:
            return CategoricalDistribution(listed)
        log = "log" in value.tags
        if isinstance(low, int) and isinstance(high, int):
            return IntDistribution(low, high, log=log, step=int(step or 1))
        return FloatDistribution(low, high, log=log, step=step)
    except (ValueError, IndexError) as error:
        raise UserError(f"{key} has no valid range: {error}; correct it") from error
