"""Computes only some rows of a batch. Legend: B batch, T length, D size, R chosen rows."""

from dataclasses import dataclass

import torch
from torch import Tensor

from nmt.kernels import dispatch


def may_choose(states: Tensor) -> bool:
    """Return whether a layer may compute only some rows of these states.

    On a GPU, the host would have to wait for the number of rows. In training with several
    processes, each layer must be part of the backward pass of all processes.
    """
    fast = dispatch.on_cpu(states) and not dispatch.only_plain()
    return fast and not torch.is_grad_enabled()


@dataclass(frozen=True)
class ChosenRows:
    """Some rows of states [B, T, D].

    Attributes:
        index: [R], ascending indices of the joined axes B and T.
        axes: B and T.
    """

    index: Tensor
    axes: torch.Size

    @property
    def none(self) -> bool:
        """Whether no row is chosen."""
        return not self.index.numel()

    def pick(self, states: Tensor) -> Tensor:
        """Return the chosen rows [R, D] of states [B, T, D]."""
        return states.flatten(0, -2).index_select(0, self.index)

    def put(self, states: Tensor, rows: Tensor) -> Tensor:
        """Return states [B, T, D] in which ``rows`` [R, D] replace the chosen rows."""
        changed = states.flatten(0, -2).index_copy(0, self.index, rows.type_as(states))
        return changed.view(states.shape)

    def spread(self, rows: Tensor) -> Tensor:
        """Return [B, T, D] with the chosen rows [R, D], else 0."""
        return self.put(rows.new_zeros(*self.axes, rows.size(-1)), rows)
