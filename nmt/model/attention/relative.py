"""Positions that act inside self-attention; each scheme has a file of its own.

Legend: B batch, H heads, T queries, S keys, K head size. Queries are the last T of S positions.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class RelativePositions:
    """The positions of queries and keys, in the form that a scheme uses; the others are None.

    Attributes:
        bias: Added to the scores, [H, T, S].
        rotation: Cosines and sines [T, K / 2] that rotate the queries and the new keys.
        distances: [T, S], key minus query position, clipped and counted from 0.
    """

    bias: Tensor | None = None
    rotation: tuple[Tensor, Tensor] | None = None
    distances: Tensor | None = None


NO_POSITIONS = RelativePositions()


class RelativeScheme(nn.Module, ABC):
    """Provides the positions for all self-attention layers of a stack."""

    @abstractmethod
    def forward(self, start: int, length: int, device: torch.device) -> RelativePositions:
        """Describe ``length`` new positions from ``start`` on, and their distances to all keys."""

    def at(self, positions: Tensor) -> RelativePositions:
        """Describe pieces of a packed row at these positions of their sentences, [1, T].

        Raises:
            ValueError: The scheme needs the distances of all pairs.
        """
        raise ValueError(f"{type(self).__name__} has no positions for packed rows")


class NoRelativePositions(RelativeScheme):
    """For models with absolute positions, or none."""

    def forward(self, start: int, length: int, device: torch.device) -> RelativePositions:
        """Return `NO_POSITIONS`."""
        return NO_POSITIONS

    def at(self, positions: Tensor) -> RelativePositions:
        """Return `NO_POSITIONS`."""
        return NO_POSITIONS


def key_distances(start: int, length: int, device: torch.device) -> Tensor:
    """Return key minus query position, [T, S], of the last ``length`` = T of S positions.

    S is ``start + length``.
    """
    keys = torch.arange(start + length, device=device)
    return keys[None, :] - keys[start:, None]
