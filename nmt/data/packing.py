"""Where the sentences of a packed batch are. Legend: R sentences, N pieces of a row."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from nmt.data.packed_rows import RowLayout


@dataclass(frozen=True)
class Packing:
    """The sentences of a batch whose pairs follow each other in one row per side.

    The pairs come first, then dummy sentences without targets, which fill the rows, then empty
    sentences. Every sentence that is not empty has pieces on both sides.

    Attributes:
        source_offsets: [R + 1] int32, where each source sentence begins, and the last one ends.
        target_offsets: [R + 1] int32, the same of the target.
        source_positions: [1, N] int64, of each piece in its sentence, from 0.
        target_positions: [1, N] int64.
        longest_source: No source sentence is longer; the same in the whole run.
        longest_target: No target sentence is longer.
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
        """Return the packing with each tensor replaced by a function of it."""
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
