"""Products with one batch of matrices in a loop over time, as in attention.

Autograd computes a gradient of all matrices at every step and adds it to the gradient of the other
steps: two passes over the matrices per step. The fast path records the rows of each step and the
gradient of its result. Then it computes the gradient of the matrices as one product over all steps.

Legend: B batch, T rows of a step (usually 1), X and Y rows and columns of a matrix, N steps.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nmt.kernels import dispatch

_Records = dict[int, tuple[Tensor, Tensor]]  # step -> rows, gradient of the result


def plain_product(rows: Tensor, matrices: Tensor, *, transposed: bool = False) -> Tensor:
    """Return rows [B, T, X] times matrices [B, X, Y], or times the transposes of [B, Y, X]."""
    return torch.bmm(rows, matrices.transpose(1, 2) if transposed else matrices)


class MatricesInLoop:
    """A batch of matrices, and records of the products with them."""

    def __init__(self, matrices: Tensor, *, transposed: bool) -> None:
        """Take matrices [B, X, Y], or ``transposed`` matrices [B, Y, X]."""
        self.given = matrices
        self._factors = matrices.detach().to(dispatch.product_dtype(matrices))
        self._transposed = transposed
        self._records: _Records = {}
        self._steps = 0
        self._token = _Gradient.apply(  # type: ignore[no-untyped-call]
            matrices, self._records, transposed
        )

    def __call__(self, rows: Tensor) -> Tensor:
        """Return the products with rows [B, T, X]."""
        with torch.autocast(rows.device.type, enabled=False):
            result: Tensor = _Step.apply(  # type: ignore[no-untyped-call]
                rows.to(self._factors.dtype),
                self._token,
                self._factors,
                self._records,
                self._steps,
                self._transposed,
            )
        self._steps += 1
        return result


class _Step(torch.autograd.Function):
    """One product; the backward pass records the rows and the gradient of the result.

    The token, an output of `_Gradient`, is an input of every step. So autograd runs the backward
    pass of `_Gradient` after the backward passes of all steps.
    """

    @staticmethod
    def forward(
        ctx: Any,
        rows: Tensor,
        token: Tensor,
        factors: Tensor,
        records: _Records,
        step: int,
        transposed: bool,
    ) -> Tensor:
        ctx.save_for_backward(rows, factors)
        ctx.records, ctx.step, ctx.transposed = records, step, transposed
        return plain_product(rows, factors, transposed=transposed)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        rows, factors = ctx.saved_tensors
        needs_rows, needs_token = ctx.needs_input_grad[:2]
        if needs_token:
            ctx.records[ctx.step] = rows, grad_output
        grad_rows = None
        if needs_rows:
            grad_rows = plain_product(grad_output, factors, transposed=not ctx.transposed)
        grad_token = grad_output.new_zeros((), dtype=torch.float32) if needs_token else None
        return grad_rows, grad_token, None, None, None, None


class _Gradient(torch.autograd.Function):
    """Returns a token; the backward pass computes the gradient of the matrices from the records."""

    @staticmethod
    def forward(ctx: Any, matrices: Tensor, records: _Records, transposed: bool) -> Tensor:
        ctx.records, ctx.dtype, ctx.transposed = records, matrices.dtype, transposed
        return matrices.new_zeros((), dtype=torch.float32)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, _: Tensor) -> tuple[Tensor, None, None]:
        rows = torch.cat([rows for rows, _ in ctx.records.values()], dim=1)  # [B, N · T, X]
        grads = torch.cat([grad for _, grad in ctx.records.values()], dim=1)  # [B, N · T, Y]
        ctx.records.clear()
        first, second = (grads, rows) if ctx.transposed else (rows, grads)
        return torch.bmm(first.transpose(1, 2), second).to(ctx.dtype), None, None
