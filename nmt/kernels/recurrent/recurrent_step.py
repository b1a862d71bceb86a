"""One step of a GRU.

Autograd computes the gradient of each part of the gates, then joins the parts. On a CPU, the fast
path is one autograd operation, which writes all parts of the gradient to one buffer.

Legend: B batch, U units.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nmt.kernels import dispatch, private_torch
from nmt.kernels.dispatch import KernelPath


def plain_gru_step(gates: Tensor, state_gates: Tensor, state: Tensor) -> Tensor:
    """Compute `gru_step` with PyTorch operations."""
    sizes = [2 * state.size(1), state.size(1)]
    of_sigmoids, of_candidate = gates.split(sizes, dim=1)
    state_of_sigmoids, state_of_candidate = state_gates.split(sizes, dim=1)
    reset, update = (of_sigmoids + state_of_sigmoids).sigmoid().chunk(2, dim=1)
    candidate = torch.addcmul(of_candidate, reset, state_of_candidate).tanh()
    return torch.lerp(candidate, state.type_as(candidate), update)


def gru_step(gates: Tensor, state_gates: Tensor, state: Tensor) -> Tensor:
    """Return z · h + (1 - z) · tanh(W x + r · U h), [B, U].

    Args:
        gates: W x, [B, 3 · U]: reset gate r, update gate z, candidate.
        state_gates: U h, [B, 3 · U].
        state: h, [B, U].
    """
    if dispatch.recurrent_step_path(gates) is KernelPath.PLAIN:
        return plain_gru_step(gates, state_gates, state)
    state, state_gates = state.type_as(gates), state_gates.type_as(gates)
    with torch.autocast("cpu", enabled=False):
        after: Tensor = _GruStep.apply(gates, state_gates, state)  # type: ignore[no-untyped-call]
    return after


class _GruStep(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gates: Tensor, state_gates: Tensor, state: Tensor) -> Tensor:
        size = state.size(1)
        sigmoids = (gates[:, : 2 * size] + state_gates[:, : 2 * size]).sigmoid_()
        reset, update = sigmoids.chunk(2, dim=1)
        recurrent = state_gates[:, 2 * size :]
        candidate = torch.addcmul(gates[:, 2 * size :], reset, recurrent).tanh_()
        ctx.save_for_backward(sigmoids, recurrent, candidate, state)
        return torch.lerp(candidate, state, update)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        sigmoids, recurrent, candidate, state = ctx.saved_tensors
        assert private_torch.tanh_backward is not None
        assert private_torch.sigmoid_backward is not None
        reset, update = sigmoids.chunk(2, dim=1)
        rows, size = state.shape
        grad_state = grad_output * update
        by_candidate = private_torch.tanh_backward(grad_output - grad_state, candidate)
        grad_sigmoids = torch.empty_like(sigmoids)
        torch.mul(by_candidate, recurrent, out=grad_sigmoids[:, :size])
        torch.mul(grad_output, state - candidate, out=grad_sigmoids[:, size:])
        grad_gates, grad_state_gates = (sigmoids.new_empty(rows, 3 * size) for _ in range(2))
        grad_sums = private_torch.sigmoid_backward(grad_sigmoids, sigmoids)
        grad_gates[:, : 2 * size] = grad_sums
        grad_gates[:, 2 * size :] = by_candidate
        grad_state_gates[:, : 2 * size] = grad_sums
        torch.mul(by_candidate, reset, out=grad_state_gates[:, 2 * size :])
        return grad_gates, grad_state_gates, grad_state
