"""Keys, values and weights of a source text and of the regions of its picture.

Legend: B batch, T queries, S source length, R regions, H heads.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from nmt.model.attention.memory import AttentionMemory


@dataclass(frozen=True)
class DoubleMemory(AttentionMemory):
    """Keys and values of a text and of the regions of its picture.

    Attributes:
        regions: Keys and values of the R regions.
    """

    regions: AttentionMemory | None = None

    @classmethod
    def join(cls, text: AttentionMemory, regions: AttentionMemory) -> "DoubleMemory":
        """Join the memories of text and regions of the same sentences."""
        return cls(text.keys, text.values, text.mask, regions)

    @property
    def text(self) -> AttentionMemory:
        """The memory of the text alone."""
        return AttentionMemory(self.keys, self.values, self.mask)

    @property
    def width(self) -> int:
        """The number of weights of a query, S + R."""
        assert self.regions is not None
        return super().width + self.regions.width

    def text_weights(self, weights: Tensor) -> Tensor:
        """Return the part [..., S] of weights [..., S + R] that belongs to the text."""
        return weights[..., : super().width]

    def select(self, rows: Tensor) -> "DoubleMemory":
        """Return the memories of these rows; see `AttentionMemory.select`."""
        assert self.regions is not None
        return self.join(super().select(rows), self.regions.select(rows))

    def for_search(self) -> "DoubleMemory":
        """Return the memories in the layout for search; see `AttentionMemory.for_search`."""
        assert self.regions is not None
        return self.join(super().for_search(), self.regions.for_search())

    def keep(self, rows: Tensor) -> "DoubleMemory":
        """Do what `select` does, in the same storage; see `AttentionMemory.keep`."""
        assert self.regions is not None
        return self.join(super().keep(rows), self.regions.keep(rows))


def text_and_regions(memory: AttentionMemory) -> tuple[AttentionMemory, AttentionMemory]:
    """Return the two memories that `DoubleMemory.join` has joined."""
    assert isinstance(memory, DoubleMemory)
    assert memory.regions is not None
    return memory.text, memory.regions


def joined_weights(text: Tensor, regions: Tensor) -> Tensor:
    """Join weights [B, ..., T, S] and [B, ..., T, R]; heads of the text share weights [B, T, R]."""
    if regions.dim() < text.dim():
        regions = regions[:, None].expand(-1, text.size(1), -1, -1)
    return torch.cat([text, regions.type_as(text)], dim=-1)
