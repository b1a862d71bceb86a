"""Absolute positions. Legend: B batch, T length, D size of an embedding."""

import math

import torch
from torch import Tensor, nn

from nmt.config.model import LEARNED_POSITIONS, Positions
from nmt.model.structured_dropout import WordDropout


def sinusoidal_positions(length: int, size: int) -> Tensor:
    """Return the encodings of positions 0 to ``length`` - 1, [length, size].

    Vaswani et al. 2017, section 3.5. The first half of a vector has the sines, the second half the
    cosines. The paper interleaves them; the two orders differ by a permutation of units.
    """
    rates = torch.exp(torch.arange(0, size, 2) * (-math.log(10_000.0) / size))
    angles = torch.arange(length)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)


class PositionedEmbedding(nn.Module):
    """Embeddings times sqrt(D), plus a vector per absolute position for two kinds of positions.

    ``sinusoidal``: Vaswani et al. 2017, sections 3.4 and 3.5. ``learned``: one vector per position
    (Gehring et al. 2017, section 3.1), times sqrt(D). Positions after the last learned position
    share its vector. Other kinds add nothing here.
    """

    table: Tensor

    def __init__(
        self, embedding: nn.Embedding, kind: str = Positions.SINUSOIDAL, word_dropout: float = 0.0
    ) -> None:
        """Wrap an embedding of size D. Positions are added after word dropout."""
        super().__init__()
        self.embedding = embedding
        self.word_dropout = WordDropout(word_dropout)
        self.kind = kind
        size = embedding.embedding_dim
        if kind == Positions.SINUSOIDAL:
            self.register_buffer("table", sinusoidal_positions(256, size), persistent=False)
        if kind == Positions.LEARNED:
            self.position_embedding = nn.Embedding(LEARNED_POSITIONS, size)

    def forward(self, ids: Tensor, positions: Tensor | None = None, end: int = 0) -> Tensor:
        """Embed ids [B, T] -> [B, T, D].

        Args:
            ids: The pieces.
            positions: The position of each piece in its sentence: [B, T], [T], or [1] if all are
                the same, as in a step of search; None: column t is at position t.
            end: An exclusive upper bound of the given positions. With it, the host does not read
                them.
        """
        if positions is None:
            positions, end = torch.arange(ids.size(1), device=ids.device), ids.size(1)
        scale = math.sqrt(self.embedding.embedding_dim)
        scaled: Tensor = self.word_dropout(self.embedding(ids) * scale, ids)
        if self.kind == Positions.LEARNED:
            last = LEARNED_POSITIONS - 1
            return scaled + self.position_embedding(positions.clamp_max(last)) * scale
        if self.kind == Positions.SINUSOIDAL:
            return scaled + self._table(end)[positions]
        return scaled

    def at(self, ids: Tensor, positions: Tensor, longest: int) -> Tensor:
        """Embed ids [1, N] of a packed row at positions [1, N], each below ``longest``.

        Raises:
            ValueError: Word dropout is on. It needs to know the pieces of each sentence.
        """
        if self.word_dropout.probability:
            raise ValueError("word dropout has no form for packed rows")
        return self(ids, positions, longest)

    def _table(self, end: int) -> Tensor:
        """Return the encodings of at least all positions below ``end``."""
        table = self.table  # read once, because another thread may replace it by a longer table
        if end > len(table):
            size = self.embedding.embedding_dim
            table = self.table = sinusoidal_positions(2 * end, size).to(table)
        return table
