"""The fused step of a GRU equals the formula, in value and in gradient."""

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from nmt.kernels import dispatch
from nmt.kernels.dispatch import KernelPath
from nmt.kernels.recurrent.recurrent_step import gru_step, plain_gru_step

ROWS, UNITS = 4, 5

Agree = Callable[[Sequence[Tensor], Sequence[Tensor], torch.dtype], None]
Both = Callable[[Tensor, Sequence[Tensor]], list[Tensor]]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_step_equals_the_formula(
    dtype: torch.dtype, agree: Agree, values_and_gradients: Both
) -> None:
    leaves = [
        torch.randn(ROWS, size, dtype=dtype, requires_grad=True)
        for size in (3 * UNITS, 3 * UNITS, UNITS)
    ]
    assert dispatch.recurrent_step_path(leaves[0]) is KernelPath.FUSED
    found = values_and_gradients(gru_step(*leaves), leaves)
    agree(found, values_and_gradients(plain_gru_step(*leaves), leaves), dtype)


def test_gates_of_one_step_among_many_get_their_own_gradient() -> None:
    steps = torch.randn(ROWS, 3, 3 * UNITS, dtype=torch.float64, requires_grad=True)
    state = torch.randn(ROWS, UNITS, dtype=torch.float64)
    projected = torch.randn(ROWS, 3 * UNITS, dtype=torch.float64)
    gru_step(steps.unbind(1)[1], projected, state).sum().backward()
    assert steps.grad is not None
    assert steps.grad[:, 1].abs().min() > 0
    assert not steps.grad[:, [0, 2]].any()


def test_low_precision_gates_with_a_float32_state(agree: Agree) -> None:
    gates, projected = (torch.randn(ROWS, 3 * UNITS).bfloat16() for _ in range(2))
    state = torch.randn(ROWS, UNITS)
    agree(
        [gru_step(gates, projected, state)],
        [plain_gru_step(gates, projected, state)],
        torch.bfloat16,
    )
