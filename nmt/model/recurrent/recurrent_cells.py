"""Recurrent cells; the caller projects the inputs, e.g. before the loop over time.

Legend: B batch, U units, G gates of a cell (3 of a GRU, 4 of an LSTM).
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from nmt.config.model import Cell
from nmt.kernels.recurrent.recurrent_step import gru_step
from nmt.model.layers import RepeatedLinear


class RecurrentCell(nn.Module, ABC):
    """The step of one layer. Its state is [B, state_size]; the first U units are h."""

    kind: Cell
    num_gates: int

    def __init__(self, hidden_size: int) -> None:
        """Build a cell of U = ``hidden_size`` units."""
        super().__init__()
        self.hidden_size = hidden_size
        self.state_projection = RepeatedLinear(hidden_size, self.num_gates * hidden_size)

    @property
    @abstractmethod
    def state_size(self) -> int:
        """Size of the state of a sentence."""

    @property
    def gates_size(self) -> int:
        """Size G · U of the projected input of `forward`."""
        return self.num_gates * self.hidden_size

    def hidden(self, state: Tensor) -> Tensor:
        """Return h, [B, U], of a state."""
        return state[:, : self.hidden_size]

    @staticmethod
    @abstractmethod
    def step(gates: Tensor, state_gates: Tensor, state: Tensor) -> Tensor:
        """Return the next state, given the projections W x and U h, each [B, G · U]."""

    def forward(self, gates: Tensor, state: Tensor) -> Tensor:
        """Return the state after ``state``, given the projected input ``gates`` [B, G · U]."""
        return self.step(gates, self.state_projection(self.hidden(state)), state)


class GruCell(RecurrentCell):
    """Gated recurrent unit (Cho et al. 2014); the reset gate follows the product, as in cuDNN."""

    kind, num_gates = Cell.GRU, 3

    @property
    def state_size(self) -> int:
        """U: the state of a GRU is h."""
        return self.hidden_size

    @staticmethod
    def step(gates: Tensor, state_gates: Tensor, state: Tensor) -> Tensor:
        """Return z · h + (1 - z) · tanh(W x + r · U h)."""
        return gru_step(gates, state_gates, state)


class LstmCell(RecurrentCell):
    """Long short-term memory with a forget gate (Gers et al. 2000)."""

    kind, num_gates = Cell.LSTM, 4

    @property
    def state_size(self) -> int:
        """2U: the state of an LSTM is h, then c."""
        return 2 * self.hidden_size

    @staticmethod
    def step(gates: Tensor, state_gates: Tensor, state: Tensor) -> Tensor:
        """Return [o · tanh(c'); c'] with c' = f · c + i · g."""
        size = state.size(1) // 2
        cell, total = state[:, size:], gates + state_gates
        input_gate, forget_gate, output_gate = total[:, : 3 * size].sigmoid().chunk(3, dim=1)
        candidate = total[:, 3 * size :].tanh()
        cell = torch.addcmul(forget_gate * cell, input_gate, candidate)
        return torch.cat([output_gate * cell.tanh(), cell], dim=1)


CELLS: dict[str, type[RecurrentCell]] = {Cell.GRU: GruCell, Cell.LSTM: LstmCell}
