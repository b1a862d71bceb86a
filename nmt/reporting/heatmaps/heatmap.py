"""The data of one attention heatmap: a matrix of weights with the tokens of its rows and columns.

Shapes: T target length, S source length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class Heatmap:
    """Attention weights of one sentence pair. Rows are target tokens, columns are source tokens.

    Args:
        weights: [T, S], each in [0, 1]. Values outside are drawn as the nearest limit, NaN as red.
        source: the S source tokens, one per column.
        target: the T target tokens, one per row.
        title: text above the matrix; a long title is wrapped.

    Raises:
        ValueError: the shape of the weights does not match the tokens.
    """

    weights: npt.NDArray[np.floating[Any]]
    source: Sequence[str]
    target: Sequence[str]
    title: str = ""

    def __post_init__(self) -> None:
        shape = tuple(self.weights.shape)
        expected = (len(self.target), len(self.source))
        if shape != expected:
            raise ValueError(
                f"heatmap weights have shape {shape}, but {expected[0]} target tokens (rows) and "
                f"{expected[1]} source tokens (columns) need shape {expected}"
            )
