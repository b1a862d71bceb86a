"""A recurrent layer over a whole sequence.

Autograd would compute a gradient of the weights at every step and sum these gradients. The backward
pass of the fast path computes the gradient as one product over all steps. Before its loop, it
computes the derivatives of the nonlinearities for all steps.

Legend: B batch, T length, I input size, U units, G gates of a cell (3 of a GRU, 4 of an LSTM).
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from nmt.kernels import dispatch, private_torch
from nmt.kernels.dispatch import KernelPath
from nmt.kernels.linear.linear_layer import weight_gradient
from nmt.kernels.recurrent.torch_recurrent import TORCH_GATES, torch_sequence

Step = Callable[[Tensor, Tensor, Tensor], Tensor]
"""The formula of a cell: (W x [B, G · U], U h [B, G · U], state) -> next state."""


def plain_sequence(
    step: Step,
    gates: Tensor,
    state: Tensor,
    weight: Tensor,
    bias: Tensor,
    mask: Tensor | None = None,
    *,
    reverse: bool = False,
) -> Tensor:
    """Run a cell over a sequence, step by step; see `run_sequence`."""
    units = weight.size(1)
    states: list[Tensor] = [state] * len(gates)
    for t in _steps(len(gates), reverse):
        state_gates = functional.linear(state[:, :units], weight.type_as(state), bias)
        after = step(gates[t], state_gates, state)
        state = after if mask is None else torch.where(mask[t, :, None], after, state)
        states[t] = state[:, :units]
    return torch.stack(states)


def run_sequence(
    kind: str,
    step: Step,
    gates: Tensor,
    state: Tensor,
    weight: Tensor,
    bias: Tensor,
    mask: Tensor | None = None,
    *,
    reverse: bool = False,
) -> Tensor:
    """Run a recurrent layer over a sequence.

    Args:
        kind: ``gru`` or ``lstm``.
        step: The formula of the cell.
        gates: [T, B, G · U], the projected inputs of all steps.
        state: The state before the first step, [B, U], or [B, 2 · U] of an LSTM.
        weight: [G · U, U], of the projection of the state.
        bias: [G · U], of the projection of the state.
        mask: [T, B] bool; a step with False does not change the state. None: True everywhere.
        reverse: Whether to run from the last step to the first.

    Returns:
        States h after each step, [T, B, U], in the dtype of the gates.
    """
    state = state.type_as(gates)
    if dispatch.recurrent_path() is KernelPath.PLAIN:
        return plain_sequence(step, gates, state, weight, bias, mask, reverse=reverse)
    padded = None if mask is None else ~mask[:, :, None]
    function = {"gru": _GruSequence, "lstm": _LstmSequence}[kind]
    with torch.autocast(gates.device.type, enabled=False):
        states: Tensor = function.apply(gates, state, weight, bias, padded, reverse)
    return states


def run_projected_sequence(
    kind: str,
    step: Step,
    projection: nn.Linear,
    inputs: Tensor,
    state: Tensor,
    weight: Tensor,
    bias: Tensor,
) -> Tensor:
    """Run a recurrent layer over the known inputs of all steps.

    Args:
        kind: ``gru`` or ``lstm``.
        step: The formula of the cell.
        projection: Maps inputs to gates.
        inputs: [B, T, I].
        state: The state before the first step, [B, U], or [B, 2 · U] of an LSTM.
        weight: [G · U, U], of the projection of the state.
        bias: [G · U], of the projection of the state.

    Returns:
        States h after each step, [B, T, U], in the dtype of the gates.
    """
    if dispatch.projected_sequence_path(inputs) is KernelPath.TORCH:
        weights = projection.weight, weight, projection.bias, bias
        return torch_sequence(kind, inputs, state, weights, TORCH_GATES[kind])
    gates = projection(inputs).transpose(0, 1)
    return run_sequence(kind, step, gates, state, weight, bias).transpose(0, 1)


def _steps(length: int, reverse: bool) -> range:
    return range(length - 1, -1, -1) if reverse else range(length)


def _previous(states: Tensor, first: Tensor, reverse: bool) -> Tensor:
    """Return the state before each step, [T, B, ...], given the states after each step."""
    if reverse:
        return torch.cat([states[1:], first[None]])
    return torch.cat([first[None], states[:-1]])


def _projection_gradient(
    grad_gates: Tensor, previous: Tensor, weight: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the gradients of weight and bias of the state projection, for all steps at once.

    Args:
        grad_gates: [T, B, G · U], the gradients of the results of the projection.
        previous: [T, B, U], the inputs of the projection.
        weight: Its dtype is that of the gradients.
    """
    flat = grad_gates.flatten(0, 1)
    grad_weight = weight_gradient(flat, previous.flatten(0, 1), weight.dtype)
    return grad_weight, flat.sum(dim=0, dtype=weight.dtype)


class _GruSequence(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        gates: Tensor,
        state: Tensor,
        weight: Tensor,
        bias: Tensor,
        padded: Tensor | None,
        reverse: bool,
    ) -> Tensor:
        length, rows, units = len(gates), *state.shape
        weight_t, offset = weight.to(gates.dtype).t(), bias.to(gates.dtype)
        states, candidates = (gates.new_empty(length, rows, units) for _ in range(2))
        sigmoids, recurrent = gates.new_empty(length, rows, 2 * units), torch.empty_like(states)
        hidden = state
        for t in _steps(length, reverse):
            product = torch.addmm(offset, hidden, weight_t)
            torch.add(gates[t, :, : 2 * units], product[:, : 2 * units], out=sigmoids[t])
            reset, update = sigmoids[t].sigmoid_().chunk(2, dim=1)
            recurrent[t] = product[:, 2 * units :]
            torch.addcmul(gates[t, :, 2 * units :], reset, recurrent[t], out=candidates[t])
            torch.lerp(candidates[t].tanh_(), hidden, update, out=states[t])
            if padded is not None:
                torch.where(padded[t], hidden, states[t], out=states[t])
            hidden = states[t]
        ctx.save_for_backward(state, weight, padded, states, candidates, sigmoids, recurrent)
        ctx.reverse = reverse
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        state, weight, padded, states, candidates, sigmoids, recurrent = ctx.saved_tensors
        assert private_torch.tanh_backward is not None
        assert private_torch.sigmoid_backward is not None
        units, weight_rows = state.size(1), weight.to(grad_output.dtype)
        previous = _previous(states, state, ctx.reverse)
        reset, update = sigmoids.chunk(2, dim=2)
        # Derivatives by the arguments of the nonlinearities, for all steps at once.
        by_candidate = private_torch.tanh_backward(1 - update, candidates)
        by_update = private_torch.sigmoid_backward(previous - candidates, update)
        by_reset = private_torch.sigmoid_backward(recurrent, reset)
        grad_candidate = torch.empty_like(states)
        grad_product = grad_output.new_empty(*states.shape[:2], 3 * units)
        grad_state = torch.zeros_like(state)
        for t in reversed(_steps(len(states), ctx.reverse)):
            grad_hidden = grad_state + grad_output[t]
            stepped = grad_hidden if padded is None else grad_hidden.masked_fill(padded[t], 0)
            torch.mul(stepped, by_candidate[t], out=grad_candidate[t])
            torch.mul(grad_candidate[t], by_reset[t], out=grad_product[t, :, :units])
            torch.mul(stepped, by_update[t], out=grad_product[t, :, units : 2 * units])
            torch.mul(grad_candidate[t], reset[t], out=grad_product[t, :, 2 * units :])
            grad_state = torch.addmm(stepped * update[t], grad_product[t], weight_rows)
            if padded is not None:
                grad_state += grad_hidden - stepped
        grad_gates = torch.cat([grad_product[:, :, : 2 * units], grad_candidate], dim=2)
        projection = _projection_gradient(grad_product, previous, weight)
        return grad_gates, grad_state, *projection, None, None


class _LstmSequence(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        gates: Tensor,
        state: Tensor,
        weight: Tensor,
        bias: Tensor,
        padded: Tensor | None,
        reverse: bool,
    ) -> Tensor:
        length, rows, units = len(gates), len(state), state.size(1) // 2
        weight_t, offset = weight.to(gates.dtype).t(), bias.to(gates.dtype)
        states, cells, cell_tanhs = (gates.new_empty(length, rows, units) for _ in range(3))
        activated = torch.empty_like(gates)  # input, forget, output gate and candidate
        hidden, cell = state.chunk(2, dim=1)
        for t in _steps(length, reverse):
            product = torch.addmm(offset, hidden, weight_t)
            torch.add(gates[t], product, out=activated[t])
            sigmoids = activated[t, :, : 3 * units].sigmoid_()
            input_gate, forget_gate, output_gate = sigmoids.chunk(3, dim=1)
            candidate = activated[t, :, 3 * units :].tanh_()
            torch.addcmul(forget_gate * cell, input_gate, candidate, out=cells[t])
            if padded is not None:
                torch.where(padded[t], cell, cells[t], out=cells[t])
            torch.tanh(cells[t], out=cell_tanhs[t])
            torch.mul(output_gate, cell_tanhs[t], out=states[t])
            if padded is not None:
                torch.where(padded[t], hidden, states[t], out=states[t])
            hidden, cell = states[t], cells[t]
        ctx.save_for_backward(state, weight, padded, states, cells, cell_tanhs, activated)
        ctx.reverse = reverse
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        state, weight, padded, states, cells, cell_tanhs, activated = ctx.saved_tensors
        assert private_torch.tanh_backward is not None
        assert private_torch.sigmoid_backward is not None
        first_hidden, first_cell = state.chunk(2, dim=1)
        previous_cells = _previous(cells, first_cell, ctx.reverse)
        input_gate, forget_gate, output_gate, candidate = activated.chunk(4, dim=2)
        # Derivatives by the arguments of the nonlinearities, for all steps at once.
        hidden_by_cell = private_torch.tanh_backward(output_gate, cell_tanhs)
        cell_by_gates = torch.stack(  # input gate, forget gate, candidate
            [
                private_torch.sigmoid_backward(candidate, input_gate),
                private_torch.sigmoid_backward(previous_cells, forget_gate),
                private_torch.tanh_backward(input_gate, candidate),
            ],
            dim=2,
        )
        hidden_by_output = private_torch.sigmoid_backward(cell_tanhs, output_gate)
        grad_gates = grad_output.new_empty(*states.shape[:2], 4, first_cell.size(1))
        grad_state, grad_cell = torch.zeros_like(first_hidden), torch.zeros_like(first_cell)
        weight_rows = weight.to(grad_output.dtype)
        for t in reversed(_steps(len(states), ctx.reverse)):
            grad_hidden = grad_state + grad_output[t]
            stepped = grad_hidden if padded is None else grad_hidden.masked_fill(padded[t], 0)
            grad_cell_sum = torch.addcmul(grad_cell, stepped, hidden_by_cell[t])
            stepped_cell = grad_cell_sum
            if padded is not None:
                stepped_cell = grad_cell_sum.masked_fill(padded[t], 0)
            products = stepped_cell[:, None] * cell_by_gates[t]
            grad_gates[t, :, :2], grad_gates[t, :, 3] = products[:, :2], products[:, 2]
            torch.mul(stepped, hidden_by_output[t], out=grad_gates[t, :, 2])
            grad_state = grad_gates[t].flatten(1) @ weight_rows
            grad_cell = stepped_cell * forget_gate[t]
            if padded is not None:
                grad_state += grad_hidden - stepped
                grad_cell += grad_cell_sum - stepped_cell
        flat, previous = grad_gates.flatten(2), _previous(states, first_hidden, ctx.reverse)
        grad_states = torch.cat([grad_state, grad_cell], dim=1)
        return flat, grad_states, *_projection_gradient(flat, previous, weight), None, None
