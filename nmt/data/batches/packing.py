"""The positions of the sentences in a packed batch, as tensors.

Legend: R sentences of a row, N positions of a row.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from nmt.data.batches.packed_rows import RowLayout


@dataclass(frozen=True)
class Packing:
    """The sentences of a packed batch, which has one row per side.

    A row contains the pairs, then dummy sentences, which fill it and are not predicted. Empty
    sentences of length 0 come last. Pairs and dummies have pieces on both sides.

    Attributes:
        source_offsets: [R + 1] int32, where each source sentence begins, and the last one ends.
        target_offsets: [R + 1] int32, the same for the target.
        source_positions: [1, N] int64, the position of each piece in its sentence, from 0.
        target_positions: [1, N] int64, the same for the target.
        longest_source: Maximum length of a source sentence in the run.
        longest_target: Maximum length of a target sentence in the run.
        sentences: Number of pairs.
    """

    source_offsets: Tensor
    target_offsets: Tensor
    source_positions: Tensor
    target_positions: Tensor
    longest_source: int
    longest_target: int
    sentences: int

    @classmethod
    def of_layout(cls, layout: RowLayout) -> "Packing":
        """Make a packing that shares the memory of a layout."""
        return cls(
            torch.from_numpy(layout.source_offsets),
            torch.from_numpy(layout.target_offsets),
            torch.from_numpy(layout.source_positions),
            torch.from_numpy(layout.target_positions),
            layout.longest_source,
            layout.longest_target,
            layout.sentences,
        )

    def map(self, function: Callable[[Tensor], Tensor]) -> "Packing":
        """Return the packing with a function applied to each tensor."""
        return replace(
            self,
            source_offsets=function(self.source_offsets),
            target_offsets=function(self.target_offsets),
            source_positions=function(self.source_positions),
            target_positions=function(self.target_positions),
        )

    def lengths(self) -> tuple[Tensor, Tensor]:
        """Return the source and target lengths of the pairs, EOS included, each [pairs]."""
        end = self.sentences + 1
        return self.source_offsets[:end].diff(), self.target_offsets[:end].diff()
