"""Positions that act inside self-attention; each scheme has a file of its own.

Legend: B batch, H heads, T queries, S keys, K head size.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

from torch import Tensor, nn

from nmt.kernels.chosen_rows import ChosenRows


@dataclass(frozen=True)
class RelativePositions:
    """The positions of queries and keys, in the form that a scheme uses; the others are None.

    Attributes:
        bias: Added to the scores, [H, T, S].
        rotation: Cosines and sines [T, K / 2] that rotate the queries and the new keys.
        distances: [T, S], key minus query position, clipped and counted from 0.
        places: The positions [T] of queries and [S] of keys in a step of search.
        rows: The queries whose contexts are needed, B and T joined; None: all.
    """

    bias: Tensor | None = None
    rotation: tuple[Tensor, Tensor] | None = None
    distances: Tensor | None = None
    places: tuple[Tensor, Tensor] | None = None
    rows: ChosenRows | None = None

    def of_rows(self, rows: ChosenRows | None) -> "RelativePositions":
        """Return the same positions where only the contexts of these queries are needed."""
        return self if rows is None else replace(self, rows=rows)


NO_POSITIONS = RelativePositions()


class RelativeScheme(nn.Module, ABC):
    """Provides the positions for all self-attention layers of a stack."""

    @abstractmethod
    def forward(self, queries: Tensor, keys: Tensor) -> RelativePositions:
        """Describe queries at target positions [T], and their distances to keys at positions [S].

        In search all beams are at one position, T = 1, and several keys have the same position.
        """

    def at(self, positions: Tensor) -> RelativePositions:
        """Describe pieces of a packed row at these positions of their sentences, [1, T].

        Raises:
            ValueError: The scheme needs the distances of all pairs.
        """
        raise ValueError(f"{type(self).__name__} has no positions for packed rows")


class NoRelativePositions(RelativeScheme):
    """For models with absolute positions, or none."""

    def forward(self, queries: Tensor, keys: Tensor) -> RelativePositions:
        """Return `NO_POSITIONS`."""
        return NO_POSITIONS

    def at(self, positions: Tensor) -> RelativePositions:
        """Return `NO_POSITIONS`."""
        return NO_POSITIONS


def key_distances(queries: Tensor, keys: Tensor) -> Tensor:
    """Return key minus query position, [T, S], of queries [T] and keys [S]."""
    return keys[None, :] - queries[:, None]
