"""Recurrent cells whose input products can be taken out of the time loop.

Legend: B batch, U units, G gates of a cell (3 of a GRU, 4 of an LSTM).
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from nmt.model.repeated import RepeatedLinear


class RecurrentCell(nn.Module, ABC):
    """One layer's step. Its state is one row a sentence, [B, state_size]; the first U are h."""

    kind: str
    num_gates: int

    def __init__(self, hidden_size: int) -> None:
        """Build a cell of U = ``hidden_size`` units."""
        super().__init__()
        self.hidden_size = hidden_size
        self.state_projection = RepeatedLinear(hidden_size, self.num_gates * hidden_size)

    @property
    @abstractmethod
    def state_size(self) -> int:
        """Width of a state row."""

    @property
    def gates_size(self) -> int:
        """Width G · U of the projected input that `forward` takes."""
        return self.num_gates * self.hidden_size

    def hidden(self, state: Tensor) -> Tensor:
        """Return h, [B, U], of a state."""
        return state[:, : self.hidden_size]

    @abstractmethod
    def forward(self, gates: Tensor, state: Tensor) -> Tensor:
        """Step from a state with the projected input ``gates`` [B, G · U]."""


class GruCell(RecurrentCell):
    """Gated recurrent unit (Cho et al. 2014), reset gate after the product, as cuDNN has it."""

    kind, num_gates = "gru", 3

    @property
    def state_size(self) -> int:
        """A GRU's state is h alone."""
        return self.hidden_size

    def forward(self, gates: Tensor, state: Tensor) -> Tensor:
        """Return z · h + (1 - z) · tanh(W x + r · U h)."""
        size = self.hidden_size
        recurrent = self.state_projection(state)
        reset, update = (gates[:, : 2 * size] + recurrent[:, : 2 * size]).sigmoid().chunk(2, dim=1)
        candidate = torch.addcmul(gates[:, 2 * size :], reset, recurrent[:, 2 * size :]).tanh()
        return torch.lerp(candidate, state.to(candidate.dtype), update)


class LstmCell(RecurrentCell):
    """Long short-term memory with a forget gate (Gers et al. 2000)."""

    kind, num_gates = "lstm", 4

    @property
    def state_size(self) -> int:
        """An LSTM's state is h, then c."""
        return 2 * self.hidden_size

    def forward(self, gates: Tensor, state: Tensor) -> Tensor:
        """Return [o · tanh(c); c] with c = f · c_before + i · g."""
        hidden, cell = state.chunk(2, dim=1)
        total = gates + self.state_projection(hidden)
        admit, forget, expose = total[:, : 3 * self.hidden_size].sigmoid().chunk(3, dim=1)
        candidate = total[:, 3 * self.hidden_size :].tanh()
        cell = torch.addcmul(forget * cell, admit, candidate)
        return torch.cat([expose * cell.tanh(), cell], dim=1)


CELLS: dict[str, type[RecurrentCell]] = {"gru": GruCell, "lstm": LstmCell}
