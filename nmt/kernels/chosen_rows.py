"""Computes only some rows of a batch. Legend: B batch, T length, D size, R rows chosen."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from nmt.kernels import dispatch


def may_choose(states: Tensor) -> bool:
    """Return whether a layer may compute some rows of these states only.

    On devices other than a CPU, the host would have to wait for the number of rows. In training,
    each layer has to take part in the backward pass of all processes.
    """
    plain = dispatch.kernels_in_force() is dispatch.Kernels.PLAIN
    return dispatch.on_cpu(states) and not torch.is_grad_enabled() and not plain


@dataclass(frozen=True)
class ChosenRows:
    """Some rows of states [B, T, D] whose first two axes are joined.

    Attributes:
        index: [R], ascending.
    """

    index: Tensor

    @property
    def none(self) -> bool:
        """Whether no row is chosen."""
        return not self.index.numel()

    def pick(self, states: Tensor) -> Tensor:
        """Return the rows of states [B, T, D], [R, D]."""
        return states.flatten(0, -2).index_select(0, self.index)

    def put(self, states: Tensor, rows: Tensor) -> Tensor:
        """Return states [B, T, D] with other rows [R, D] in the chosen places."""
        changed = states.flatten(0, -2).index_copy(0, self.index, rows.type_as(states))
        return changed.view(states.shape)

    def spread(self, rows: Tensor, like: Tensor) -> Tensor:
        """Return rows [R, D] in their places of a tensor [B, T, D] as ``like``; others are 0."""
        shape = *like.shape[:-1], rows.size(-1)
        return self.put(rows.new_zeros(shape), rows)


def picked(states: Tensor, rows: ChosenRows | None) -> Tensor:
    """Return the rows of states [B, T, D], [R, D]; None: the states."""
    return states if rows is None else rows.pick(states)


def at_rows(module: Callable[[Tensor], Tensor], states: Tensor, rows: ChosenRows | None) -> Tensor:
    """Apply a module to the rows of states [B, T, D], and leave 0 elsewhere; None: to all rows."""
    return module(states) if rows is None else rows.spread(module(rows.pick(states)), states)
