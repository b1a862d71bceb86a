"""Histograms of lengths and of length ratios, with the same bins for all corpora."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Bins = list[list[float]]
"""Rows [low, high, count]; empty bins at both ends are left out."""

COUNT_EDGES = (0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 75, 100, 200, 500)
RATIO_EDGES = (0.0, 0.2, 0.33, 0.5, 0.67, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0, 3.0, 5.0)


def counted(values: npt.NDArray[np.generic], edges: Sequence[float]) -> npt.NDArray[np.int64]:
    """Return the number of values from each edge up to the next; the last bin is unbounded."""
    bins = np.searchsorted(np.asarray(edges), values, side="right") - 1
    return np.bincount(bins, minlength=len(edges)).astype(np.int64)


def rows_of_counts(counts: npt.NDArray[np.int64], highest: int) -> Bins:
    """Return the bins of `COUNT_EDGES`; ``high`` is the largest number in a bin."""
    highs = [edge - 1 for edge in COUNT_EDGES[1:]] + [max(highest, COUNT_EDGES[-1])]
    return _trimmed(COUNT_EDGES, highs, counts)


def rows_of_ratios(counts: npt.NDArray[np.int64], highest: float) -> Bins:
    """Return the bins of `RATIO_EDGES`; ``high`` is the ``low`` of the next bin."""
    highs = [*RATIO_EDGES[1:], max(round(highest, 2), RATIO_EDGES[-1])]
    return _trimmed(RATIO_EDGES, highs, counts)


def _trimmed(lows: Sequence[float], highs: Sequence[float], counts: npt.NDArray[np.int64]) -> Bins:
    filled = np.flatnonzero(counts)
    if not len(filled):
        return []
    span = range(int(filled[0]), int(filled[-1]) + 1)
    return [[lows[i], highs[i], int(counts[i])] for i in span]
