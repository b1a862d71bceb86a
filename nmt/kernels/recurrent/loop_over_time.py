"""Linear layers, and products with fixed matrices, in a loop over time.

Autograd computes the gradient of a weight at every step and sums these gradients: N small products,
N passes over the weight, and N roundings. In the block `loop_over_time`, the fast path records the
input of each step and the gradient of its result. Then it computes the gradient of the weight as
one product over all steps, summed in float32. The products with the keys and values of attention
are computed in the same way.

Legend: N steps, I input size, O output size, B batch, T rows of a step (usually 1), X and Y rows
and columns of a matrix.
"""

from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from nmt.kernels import dispatch
from nmt.kernels.dispatch import KernelPath
from nmt.kernels.linear.linear_layer import weight_gradient


def repeated_linear(layer: nn.Linear, inputs: Tensor) -> Tensor:
    """Apply a linear layer to inputs [..., I]; in `loop_over_time`, this is a step of the loop."""
    loop = _current_loop()
    if loop is None:
        return functional.linear(inputs, layer.weight, layer.bias)
    if layer not in loop:
        loop[layer] = _RepeatedOperation(_Linear(), list(layer.parameters(recurse=False)))
    return loop[layer](inputs)


def repeated_product(rows: Tensor, matrices: Tensor, *, transposed: bool = False) -> Tensor:
    """Return rows [B, T, X] times matrices [B, X, Y], or times the transposes of [B, Y, X].

    In `loop_over_time`, this is a step of the loop. All steps must pass the same tensor object
    ``matrices``.
    """
    loop = _current_loop()
    if loop is None:
        return _Product(transposed).result(rows, matrices)
    key = id(matrices), transposed
    if key not in loop:
        loop[key] = _RepeatedOperation(_Product(transposed), [matrices])
    return loop[key](rows)


@contextmanager
def loop_over_time() -> Iterator[None]:
    """Compute the gradient of each weight once for all steps of the loop in this block.

    The weights must not change before the backward pass.
    """
    fast = dispatch.loop_over_time_path() is KernelPath.FUSED
    before = _LOOP.set({} if fast else None)
    try:
        yield
    finally:
        _LOOP.reset(before)


def _current_loop() -> "_Loop | None":
    """Return the operations of the loop that is running; None: no loop, or no fast path."""
    return None if torch.compiler.is_compiling() else _LOOP.get()


class _Operation(Protocol):
    """A function of an input and of weights that are the same in all steps."""

    def result(self, inputs: Tensor, *weights: Tensor) -> Tensor:
        """Return the result of a step."""

    def input_gradient(self, grad: Tensor, *weights: Tensor) -> Tensor:
        """Return the gradient of the input of a step, given the gradient of its result."""

    def weight_gradients(
        self,
        inputs: Sequence[Tensor],
        grads: Sequence[Tensor],
        dtype: torch.dtype,
        needed: Sequence[bool],
    ) -> Sequence[Tensor | None]:
        """Return the gradient of each weight, in ``dtype``, from all steps; None: not needed."""


class _Linear:
    """x W^T + b, or x W^T, with W [O, I] and b [O]."""

    def result(self, inputs: Tensor, *weights: Tensor) -> Tensor:
        return functional.linear(inputs, *weights)

    def input_gradient(self, grad: Tensor, *weights: Tensor) -> Tensor:
        return grad @ weights[0]

    def weight_gradients(
        self,
        inputs: Sequence[Tensor],
        grads: Sequence[Tensor],
        dtype: torch.dtype,
        needed: Sequence[bool],
    ) -> Sequence[Tensor | None]:
        needs_weight, *needs_bias = needed  # a layer without a bias has one weight
        grad_rows = torch.cat([part.flatten(0, -2) for part in grads])
        found: list[Tensor | None] = [None]
        if needs_weight:
            rows = torch.cat([part.flatten(0, -2) for part in inputs])
            found = [weight_gradient(grad_rows, rows, dtype)]
        return [*found, *(grad_rows.sum(0, dtype=dtype) if needs else None for needs in needs_bias)]


@dataclass(frozen=True)
class _Product:
    """Rows [B, T, X] times matrices [B, X, Y]; ``transposed``: the weights are [B, Y, X]."""

    transposed: bool

    def result(self, inputs: Tensor, *weights: Tensor) -> Tensor:
        (matrices,) = weights
        return torch.bmm(inputs, matrices.transpose(1, 2) if self.transposed else matrices)

    def input_gradient(self, grad: Tensor, *weights: Tensor) -> Tensor:
        return _Product(not self.transposed).result(grad, *weights)

    def weight_gradients(
        self,
        inputs: Sequence[Tensor],
        grads: Sequence[Tensor],
        dtype: torch.dtype,
        _: Sequence[bool],
    ) -> Sequence[Tensor | None]:
        rows, grad_rows = torch.cat(list(inputs), dim=1), torch.cat(list(grads), dim=1)
        first, second = (grad_rows, rows) if self.transposed else (rows, grad_rows)
        return (torch.bmm(first.transpose(1, 2), second).to(dtype),)


_Records = dict[int, tuple[Tensor, Tensor]]  # step -> input, gradient of the result


class _RepeatedOperation:
    """An operation, its weights in the dtype of products, and the records of its steps."""

    def __init__(self, operation: _Operation, weights: Sequence[Tensor]) -> None:
        dtype = dispatch.product_dtype(weights[0])
        self._operation, self._dtype = operation, dtype
        self._given = weights  # they stay alive, so their ids stay unique
        self._weights = [weight.detach().to(dtype) for weight in weights]
        self._records: _Records = {}
        self._steps = 0
        self._token = _Gradients.apply(  # type: ignore[no-untyped-call]
            operation, self._records, *weights
        )

    def __call__(self, inputs: Tensor) -> Tensor:
        with torch.autocast(inputs.device.type, enabled=False):
            result: Tensor = _Step.apply(  # type: ignore[no-untyped-call]
                inputs.to(self._dtype),
                self._token,
                self._operation,
                self._records,
                self._steps,
                *self._weights,
            )
        self._steps += 1
        return result


_Loop = dict[Hashable, _RepeatedOperation]  # by the layer, or by the matrices and their form
_LOOP: ContextVar[_Loop | None] = ContextVar("loop", default=None)


class _Step(torch.autograd.Function):
    """One step; the backward pass records the input and the gradient of the result.

    The token, an output of `_Gradients`, is an input of every step. So autograd runs the backward
    pass of `_Gradients` after the backward passes of all steps.
    """

    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,
        token: Tensor,
        operation: _Operation,
        records: _Records,
        step: int,
        *weights: Tensor,
    ) -> Tensor:
        ctx.save_for_backward(inputs, *weights)
        ctx.operation, ctx.records, ctx.step = operation, records, step
        return operation.result(inputs, *weights)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        inputs, *weights = ctx.saved_tensors
        needs_input, needs_token = ctx.needs_input_grad[:2]
        if needs_token:
            ctx.records[ctx.step] = inputs, grad_output
        grad_input = ctx.operation.input_gradient(grad_output, *weights) if needs_input else None
        grad_token = None  # means 0; one step must return a tensor
        if needs_token and ctx.step == 0:
            grad_token = grad_output.new_zeros((), dtype=torch.float32)
        return grad_input, grad_token, None, None, None, *[None] * len(weights)


class _Gradients(torch.autograd.Function):
    """Returns a token; the backward pass computes the gradients of the weights from the records."""

    @staticmethod
    def forward(ctx: Any, operation: _Operation, records: _Records, *weights: Tensor) -> Tensor:
        ctx.operation, ctx.records = operation, records
        ctx.dtype = weights[0].dtype
        return weights[0].new_zeros((), dtype=torch.float32)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, _: Tensor) -> tuple[Tensor | None, ...]:
        inputs, grads = zip(*ctx.records.values(), strict=True)
        ctx.records.clear()
        needed = ctx.needs_input_grad[2:]
        return None, None, *ctx.operation.weight_gradients(inputs, grads, ctx.dtype, needed)
