"""A recurrent layer over a whole sequence as one operation, with a backward pass of its own.

Step by step, autograd would take the weights' gradient anew at every step; here it is one product
over all steps, and what the backward loop multiplies by is computed for all steps beforehand.

Legend: B batch, T length, U units, G gates of a cell (3 of a GRU, 4 of an LSTM).
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nmt.model.linear import weight_gradient

_sigmoid_backward = torch.ops.aten.sigmoid_backward  # (g, y) -> g · y · (1 - y)
_tanh_backward = torch.ops.aten.tanh_backward  # (g, y) -> g · (1 - y²)


def run_sequence(
    kind: str,
    gates: Tensor,
    state: Tensor,
    weight: Tensor,
    bias: Tensor,
    mask: Tensor | None = None,
    *,
    reverse: bool = False,
) -> Tensor:
    """Run a GRU or LSTM layer over a sequence, as `GruCell` and `LstmCell` step.

    Args:
        kind: ``gru`` or ``lstm``.
        gates: [T, B, G · U], the projected inputs of all steps.
        state: [B, U] or, of an LSTM, [B, 2 · U], before the first step.
        weight: [G · U, U], the state projection's.
        bias: [G · U].
        mask: [T, B] bool; where it is False the state stays as it is. None: True everywhere.
        reverse: Run from the last step to the first.

    Returns:
        States h behind each step, [T, B, U].
    """
    held = None if mask is None else ~mask[:, :, None]
    function = {"gru": _GruSequence, "lstm": _LstmSequence}[kind]
    device = gates.device.type
    with torch.autocast(device, enabled=False):
        states: Tensor = function.apply(gates, state.to(gates.dtype), weight, bias, held, reverse)
    return states


def _steps(length: int, reverse: bool) -> range:
    return range(length - 1, -1, -1) if reverse else range(length)


def _before(states: Tensor, first: Tensor, reverse: bool) -> Tensor:
    """Return what each step began with, [T, B, ...], given what it ended with."""
    if reverse:
        return torch.cat([states[1:], first[None]])
    return torch.cat([first[None], states[:-1]])


def _projection_gradient(total: Tensor, before: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return the gradients of the state projection's weight and bias, of all steps at once.

    Args:
        total: [T, B, G · U], of what the projection gave.
        before: [T, B, U], what it was given.
        weight: Its type is theirs.
    """
    flat = total.flatten(0, 1)
    product = weight_gradient(flat, before.flatten(0, 1), weight.dtype)
    return product, flat.sum(dim=0, dtype=weight.dtype)


class _GruSequence(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        gates: Tensor,
        state: Tensor,
        weight: Tensor,
        bias: Tensor,
        held: Tensor | None,
        reverse: bool,
    ) -> Tensor:
        length, rows, units = len(gates), *state.shape
        across, offset = weight.to(gates.dtype).t(), bias.to(gates.dtype)
        states, candidates = (gates.new_empty(length, rows, units) for _ in range(2))
        sigmoids, recurrent = gates.new_empty(length, rows, 2 * units), torch.empty_like(states)
        hidden = state
        for t in _steps(length, reverse):
            product = torch.addmm(offset, hidden, across)
            torch.add(gates[t, :, : 2 * units], product[:, : 2 * units], out=sigmoids[t])
            reset, update = sigmoids[t].sigmoid_().chunk(2, dim=1)
            recurrent[t] = product[:, 2 * units :]
            torch.addcmul(gates[t, :, 2 * units :], reset, recurrent[t], out=candidates[t])
            torch.lerp(candidates[t].tanh_(), hidden, update, out=states[t])
            if held is not None:
                torch.where(held[t], hidden, states[t], out=states[t])
            hidden = states[t]
        ctx.save_for_backward(state, weight, held, states, candidates, sigmoids, recurrent)
        ctx.reverse = reverse
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        state, weight, held, states, candidates, sigmoids, recurrent = ctx.saved_tensors
        units, across = state.size(1), weight.to(gradient.dtype)
        before = _before(states, state, ctx.reverse)
        reset, update = sigmoids.chunk(2, dim=2)
        to_candidate = _tanh_backward(1 - update, candidates)
        to_update = _sigmoid_backward(before - candidates, update)
        to_reset = _sigmoid_backward(recurrent, reset)
        inner = torch.empty_like(states)  # of the candidate's argument
        total = gradient.new_empty(*states.shape[:2], 3 * units)  # of the state's projection
        passed = torch.zeros_like(state)
        for t in reversed(_steps(len(states), ctx.reverse)):
            arriving = passed + gradient[t]
            moved = arriving if held is None else arriving.masked_fill(held[t], 0)
            torch.mul(moved, to_candidate[t], out=inner[t])
            torch.mul(inner[t], to_reset[t], out=total[t, :, :units])
            torch.mul(moved, to_update[t], out=total[t, :, units : 2 * units])
            torch.mul(inner[t], reset[t], out=total[t, :, 2 * units :])
            kept = moved * update[t]
            passed = torch.addmm(kept, total[t], across)
            if held is not None:
                passed += arriving - moved
        gates = torch.cat([total[:, :, : 2 * units], inner], dim=2)
        return gates, passed, *_projection_gradient(total, before, weight), None, None


class _LstmSequence(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        gates: Tensor,
        state: Tensor,
        weight: Tensor,
        bias: Tensor,
        held: Tensor | None,
        reverse: bool,
    ) -> Tensor:
        length, rows, units = len(gates), len(state), state.size(1) // 2
        across, offset = weight.to(gates.dtype).t(), bias.to(gates.dtype)
        states, cells, squashed = (gates.new_empty(length, rows, units) for _ in range(3))
        opened = torch.empty_like(gates)  # three sigmoids and a tanh
        hidden, cell = state.chunk(2, dim=1)
        for t in _steps(length, reverse):
            product = torch.addmm(offset, hidden, across)
            torch.add(gates[t], product, out=opened[t])
            admit, forget, expose = opened[t, :, : 3 * units].sigmoid_().chunk(3, dim=1)
            candidate = opened[t, :, 3 * units :].tanh_()
            torch.addcmul(forget * cell, admit, candidate, out=cells[t])
            if held is not None:
                torch.where(held[t], cell, cells[t], out=cells[t])
            torch.tanh(cells[t], out=squashed[t])
            torch.mul(expose, squashed[t], out=states[t])
            if held is not None:
                torch.where(held[t], hidden, states[t], out=states[t])
            hidden, cell = states[t], cells[t]
        ctx.save_for_backward(state, weight, held, states, cells, squashed, opened)
        ctx.reverse = reverse
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        state, weight, held, states, cells, squashed, opened = ctx.saved_tensors
        across = weight.to(gradient.dtype)
        first_hidden, first_cell = state.chunk(2, dim=1)
        cells_before = _before(cells, first_cell, ctx.reverse)
        admit, forget, expose, candidate = opened.chunk(4, dim=2)
        to_cell = _tanh_backward(expose, squashed)
        from_cell = torch.stack(  # of admit, forget, candidate
            [
                _sigmoid_backward(candidate, admit),
                _sigmoid_backward(cells_before, forget),
                _tanh_backward(admit, candidate),
            ],
            dim=2,
        )
        to_expose = _sigmoid_backward(squashed, expose)
        total = gradient.new_empty(*states.shape[:2], 4, first_cell.size(1))
        passed, passed_cell = torch.zeros_like(first_hidden), torch.zeros_like(first_cell)
        for t in reversed(_steps(len(states), ctx.reverse)):
            arriving = passed + gradient[t]
            moved = arriving if held is None else arriving.masked_fill(held[t], 0)
            inner = torch.addcmul(passed_cell, moved, to_cell[t])
            kept = inner.masked_fill(held[t], 0) if held is not None else inner
            products = kept[:, None] * from_cell[t]
            total[t, :, :2], total[t, :, 3] = products[:, :2], products[:, 2]
            torch.mul(moved, to_expose[t], out=total[t, :, 2])
            passed = total[t].flatten(1) @ across
            passed_cell = kept * forget[t]
            if held is not None:
                passed += arriving - moved
                passed_cell += inner - kept
        gates, before = total.flatten(2), _before(states, first_hidden, ctx.reverse)
        state_gradient = torch.cat([passed, passed_cell], dim=1)
        return gates, state_gradient, *_projection_gradient(gates, before, weight), None, None
