"""The attention of one sentence pair in all layers and heads, as data for reports.

Pages, JSON files and heatmap grids are made from this record.

Shapes: L layers, H heads, T target length, S source length.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class AttentionRecord:
    """Attention weights of one sentence pair with its tokens and texts.

    Args:
        source: the S source tokens.
        target: the T target tokens.
        weights: [L, H, T, S], each in [0, 1], with at least one layer and one head. NaN is an
            unknown weight.
        title: the heading of pictures and pages.
        source_text: the source sentence as text.
        target_text: the target sentence as text.

    Raises:
        ValueError: the weights do not have four dimensions, have no layer or no head, or do not
            match the tokens.
    """

    source: list[str]
    target: list[str]
    weights: npt.NDArray[np.floating[Any]]
    title: str
    source_text: str
    target_text: str

    def __post_init__(self) -> None:
        shape = tuple(self.weights.shape)
        tokens = (len(self.target), len(self.source))
        if len(shape) != 4 or shape[2:] != tokens or 0 in shape[:2]:
            raise ValueError(
                f"attention weights have shape {shape}, but {tokens[0]} target tokens and "
                f"{tokens[1]} source tokens need shape (layers, heads, {tokens[0]}, {tokens[1]}) "
                "with at least one layer and one head"
            )

    @property
    def layers(self) -> int:
        """The number of layers, L."""
        return int(self.weights.shape[0])

    @property
    def heads(self) -> int:
        """The number of heads per layer, H."""
        return int(self.weights.shape[1])
