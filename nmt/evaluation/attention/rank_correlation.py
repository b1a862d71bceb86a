"""Kendall's rank correlation, and means with confidence intervals."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.floating[Any]]

_RESAMPLES = 1000


@dataclass(frozen=True)
class Mean:
    """A mean over sentences and its 95 % confidence interval.

    Attributes:
        value: The mean.
        low: The lower end of the interval, from bootstrap resamples of the sentences; nan: a mean
            of fewer than two sentences has no interval.
        high: The upper end, or nan.
    """

    value: float
    low: float
    high: float


def kendall_tau(first: Values, second: Values) -> float:
    """Return Kendall's tau-b of two lists of S values (Kendall 1945), from -1 to 1.

    tau-b = (concordant - discordant) / sqrt((pairs - ties of one) (pairs - ties of the other))

    It is nan if all values of a list are equal.

    Args:
        first: [S].
        second: [S].
    """
    upper = np.triu_indices(len(first), 1)
    order_first = np.sign(first[:, None] - first[None, :])[upper]
    order_second = np.sign(second[:, None] - second[None, :])[upper]
    untied = float((order_first != 0).sum()), float((order_second != 0).sum())
    if not all(untied):
        return math.nan
    return float((order_first * order_second).sum()) / math.sqrt(untied[0] * untied[1])


def mean_with_confidence(values: Sequence[float], seed: int = 1) -> Mean:
    """Return the mean of values, one per sentence, with its bootstrap interval (Efron 1979).

    Values that are not finite are left out. If none is left, the mean is nan. All resamples of one
    value are equal and show no variation, so the interval is then nan.
    """
    known = np.array([value for value in values if math.isfinite(value)])
    if len(known) < 2:
        return Mean(float(known[0]) if len(known) else math.nan, math.nan, math.nan)
    rows = np.random.default_rng(seed).integers(len(known), size=(_RESAMPLES, len(known)))
    low, high = np.quantile(known[rows].mean(1), [0.025, 0.975])
    return Mean(float(known.mean()), float(low), float(high))
