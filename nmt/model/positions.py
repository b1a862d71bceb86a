"""Absolute positions. Legend: B batch, T length, D size of an embedding."""

import math

import torch
from torch import Tensor, nn

from nmt.config.model import LEARNED_POSITIONS, Positions
from nmt.model.structured_dropout import WordDropout


def sinusoidal_positions(start: int, length: int, size: int) -> Tensor:
    """Return the encodings of positions ``start`` to ``start + length - 1``, [length, size].

    Vaswani et al. 2017, section 3.5. Sines are the first half of the vector and cosines the second,
    which differs from the paper's interleaving only by a permutation of units.
    """
    rates = torch.exp(torch.arange(0, size, 2) * (-math.log(10_000.0) / size))
    angles = torch.arange(start, start + length)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)


class PositionedEmbedding(nn.Module):
    """Embeddings times sqrt(D), plus a vector per absolute position if so configured.

    ``sinusoidal``: Vaswani et al. 2017, sections 3.4 and 3.5. ``learned``: one vector per position
    (Gehring et al. 2017, section 3.1), scaled like the embeddings; positions after the last learned
    position share its vector. Any other kind adds nothing here.
    """

    table: Tensor

    def __init__(
        self, embedding: nn.Embedding, kind: str = Positions.SINUSOIDAL, word_dropout: float = 0.0
    ) -> None:
        """Wrap an embedding of size D; word dropout comes before the addition of positions."""
        super().__init__()
        self.embedding = embedding
        self.word_dropout = WordDropout(word_dropout)
        self.kind = kind
        size = embedding.embedding_dim
        if kind == Positions.SINUSOIDAL:
            self.register_buffer("table", sinusoidal_positions(0, 256, size), persistent=False)
        if kind == Positions.LEARNED:
            self.position_embedding = nn.Embedding(LEARNED_POSITIONS, size)

    def forward(self, ids: Tensor, position: Tensor | None = None, end: int = 0) -> Tensor:
        """Embed ids [B, T] -> [B, T, D].

        Args:
            ids: The first column is at position 0, unless ``position`` is given.
            position: [1], the position of all columns, as in a step of search.
            end: An exclusive upper bound of ``position``, so that the host need not read
                ``position``.
        """
        size = self.embedding.embedding_dim
        scaled: Tensor = self.word_dropout(self.embedding(ids) * math.sqrt(size), ids)
        if self.kind == Positions.LEARNED:
            if position is None:
                position = torch.arange(ids.size(1), device=ids.device)
            positions = position.clamp_max(LEARNED_POSITIONS - 1)
            return scaled + self.position_embedding(positions) * math.sqrt(size)
        if self.kind != Positions.SINUSOIDAL:
            return scaled
        table = self._table(ids.size(1) if position is None else end)
        if position is None:
            return scaled + table[: ids.size(1)]
        return scaled + table.index_select(0, position)

    def at(self, ids: Tensor, positions: Tensor, longest: int) -> Tensor:
        """Embed ids [1, N] of a packed row at these positions of their sentences -> [1, N, D].

        Args:
            ids: The row.
            positions: [1, N], all of them below ``longest``.
            longest: Length of the longest sentence of the run; on the host.

        Raises:
            ValueError: Word dropout is on: it depends on the other pieces of a sentence.
        """
        if self.word_dropout.probability:
            raise ValueError("word dropout has no form for packed rows")
        scaled: Tensor = self.embedding(ids) * math.sqrt(self.embedding.embedding_dim)
        return self._placed(scaled, positions, longest)

    def in_sentences(self, ids: Tensor, positions: Tensor) -> Tensor:
        """Embed ids [B, T] at these positions [B, T], all below T -> [B, T, D]."""
        scaled = self.embedding(ids) * math.sqrt(self.embedding.embedding_dim)
        return self._placed(self.word_dropout(scaled, ids), positions, ids.size(1))

    def _placed(self, scaled: Tensor, positions: Tensor, end: int) -> Tensor:
        """Add the vectors of positions [B, T], all below ``end``, to embeddings [B, T, D]."""
        if self.kind == Positions.LEARNED:
            positions = positions.clamp_max(LEARNED_POSITIONS - 1)
            return scaled + self.position_embedding(positions) * math.sqrt(scaled.size(-1))
        if self.kind != Positions.SINUSOIDAL:
            return scaled
        return scaled + self._table(end)[positions]

    def _table(self, end: int) -> Tensor:
        """Return the encodings of the positions below ``end``, and perhaps of later ones."""
        table = self.table  # a constant; a longer one replaces it, also in other threads
        if end > len(table):
            size = self.embedding.embedding_dim
            table = self.table = sinusoidal_positions(0, 2 * end, size).to(table)
        return table
