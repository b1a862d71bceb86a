"""A recurrent layer over a sequence as one operation, compared with its cell step by step."""

from contextlib import nullcontext

import pytest
import torch
from torch import Tensor

from nmt.kernels import dispatch
from nmt.kernels.recurrent.recurrent_sequence import (
    plain_sequence,
    run_projected_sequence,
    run_sequence,
)
from nmt.model.recurrent.recurrent_cells import CELLS, RecurrentCell

LENGTH, ROWS, UNITS = 6, 5, 4


def stepped(
    cell: RecurrentCell, gates: Tensor, state: Tensor, mask: Tensor | None, *, reverse: bool
) -> Tensor:
    """The same, step by step."""
    steps: list[Tensor] = [state] * LENGTH
    for t in range(LENGTH - 1, -1, -1) if reverse else range(LENGTH):
        after = cell(gates[t], state)
        state = after if mask is None else torch.where(mask[t, :, None], after, state)
        steps[t] = cell.hidden(state)
    return torch.stack(steps)


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "backward"])
@pytest.mark.parametrize("masked", [False, True], ids=["full", "ragged"])
@pytest.mark.parametrize("kind", sorted(CELLS))
def test_sequence_and_its_gradients_are_those_of_its_steps(
    kind: str, masked: bool, reverse: bool
) -> None:
    cell = CELLS[kind](UNITS).double()
    weight, bias = cell.state_projection.weight, cell.state_projection.bias
    gates = torch.randn(LENGTH, ROWS, cell.gates_size, dtype=torch.double, requires_grad=True)
    state = torch.randn(ROWS, cell.state_size, dtype=torch.double, requires_grad=True)
    mask = torch.rand(LENGTH, ROWS) > 0.3 if masked else None
    found = run_sequence(kind, cell.step, gates, state, weight, bias, mask, reverse=reverse)
    expected = stepped(cell, gates, state, mask, reverse=reverse)
    torch.testing.assert_close(found, expected)
    plain = plain_sequence(cell.step, gates, state, weight, bias, mask, reverse=reverse)
    torch.testing.assert_close(plain, expected)
    weighting = torch.randn_like(found)  # every h has a different weight in the loss
    inputs = [gates, state, weight, bias]
    gradients = torch.autograd.grad((expected * weighting).sum(), inputs)
    for result in (found, plain):
        torch.testing.assert_close(
            torch.autograd.grad((result * weighting).sum(), inputs), gradients
        )


@pytest.mark.parametrize("kind", sorted(CELLS))
def test_sequence_runs_in_the_dtype_of_its_gates_and_gradients_have_that_of_weights(
    kind: str,
) -> None:
    cell = CELLS[kind](UNITS)
    weight, bias = cell.state_projection.weight, cell.state_projection.bias
    gates, state = torch.randn(LENGTH, ROWS, cell.gates_size), torch.randn(ROWS, cell.state_size)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = run_sequence(kind, cell.step, gates.bfloat16(), state, weight, bias)
    assert found.dtype == torch.bfloat16
    exact = run_sequence(kind, cell.step, gates, state, weight, bias)
    torch.testing.assert_close(found.float(), exact, atol=0.05, rtol=0)  # 8 bits of numbers below 1
    found.float().sum().backward()
    assert weight.grad is not None
    assert weight.grad.dtype == torch.float32


@pytest.mark.parametrize("kind", sorted(CELLS))
def test_the_kernel_of_torch_equals_the_cell(kind: str) -> None:
    """The order of its gates and its formulas; on a GPU it runs whole sequences."""
    cell = CELLS[kind](UNITS).double()
    weight, bias = cell.state_projection.weight, cell.state_projection.bias
    projection = torch.nn.Linear(3, cell.gates_size).double()
    inputs = torch.randn(ROWS, LENGTH, 3, dtype=torch.double, requires_grad=True)
    state = torch.randn(ROWS, cell.state_size, dtype=torch.double, requires_grad=True)
    leaves = [inputs, state, *projection.parameters(), weight, bias]
    weighting = torch.randn(ROWS, LENGTH, UNITS, dtype=torch.double)
    results = []
    for choose in (nullcontext, dispatch.as_on_accelerator):
        with choose():
            found = run_projected_sequence(kind, cell.step, projection, inputs, state, weight, bias)
        results.append([found, *torch.autograd.grad((found * weighting).sum(), leaves)])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)
