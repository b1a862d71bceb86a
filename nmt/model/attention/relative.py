"""Position schemes inside self-attention; each scheme has its own file.

Legend: B batch, H heads, T queries, S keys, K head size.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True)
class RelativePositions:
    """The positions of queries and keys, in the form that a scheme uses; other attributes are None.

    Attributes:
        bias: Added to the scores, [H, T, S].
        rotation: Cosines and sines [T, K / 2] that rotate the queries and the new keys.
        distances: [T, S], key minus query position, clipped and shifted so that the least is 0.
        in_step: The positions [T] of queries and [S] of keys in a step of search.
    """

    bias: Tensor | None = None
    rotation: tuple[Tensor, Tensor] | None = None
    distances: Tensor | None = None
    in_step: tuple[Tensor, Tensor] | None = None


NO_POSITIONS = RelativePositions()


class RelativeScheme(nn.Module, ABC):
    """Provides the positions for all self-attention layers of a stack."""

    @abstractmethod
    def forward(self, queries: Tensor, keys: Tensor) -> RelativePositions:
        """Describe queries at target positions [T] and keys at positions [S].

        In a step of search, T = 1: all beams are at the same position. Several keys have the same
        position.
        """

    def at(self, positions: Tensor) -> RelativePositions:
        """Describe the pieces of a packed row by their positions [1, T] in their sentences.

        Raises:
            ValueError: The scheme needs the distances of all pairs.
        """
        raise ValueError(f"{type(self).__name__} has no positions for packed rows")


class NoRelativePositions(RelativeScheme):
    """For models with absolute positions or without positions."""

    def forward(self, queries: Tensor, keys: Tensor) -> RelativePositions:
        """Return `NO_POSITIONS`."""
        return NO_POSITIONS

    def at(self, positions: Tensor) -> RelativePositions:
        """Return `NO_POSITIONS`."""
        return NO_POSITIONS


def key_distances(queries: Tensor, keys: Tensor) -> Tensor:
    """Return key minus query position [T, S] for positions of queries [T] and keys [S]."""
    return keys[None, :] - queries[:, None]
