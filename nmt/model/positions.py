"""Where a piece stands in its sentence."""

import math

import torch
from torch import Tensor, nn


def sinusoidal_positions(start: int, length: int, size: int) -> Tensor:
    """Return the signals of positions ``start`` to ``start + length - 1``, [length, size].

    Vaswani et al. 2017, section 3.5; the sines fill the first half of the vector, the cosines the
    second, which differs from the paper's interleaving by a permutation of units only.
    """
    rates = torch.exp(torch.arange(0, size, 2) * (-math.log(10_000.0) / size))
    angles = torch.arange(start, start + length)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)


class PositionedEmbedding(nn.Module):
    """Embeddings times sqrt(D), plus sinusoidal positions (Vaswani et al. 2017, 3.4, 3.5)."""

    table: Tensor

    def __init__(self, embedding: nn.Embedding) -> None:
        """Wrap an embedding of size D."""
        super().__init__()
        self.embedding = embedding
        table = sinusoidal_positions(0, 256, embedding.embedding_dim)
        self.register_buffer("table", table, persistent=False)

    def forward(self, ids: Tensor, start: int = 0) -> Tensor:
        """Embed ids [B, T] whose first column stands at position ``start`` -> [B, T, D]."""
        size, end = self.embedding.embedding_dim, start + ids.size(1)
        if end > len(self.table):
            longer = sinusoidal_positions(0, 2 * end, size)
            self.table = longer.to(self.table)
        return self.embedding(ids) * math.sqrt(size) + self.table[start:end]
