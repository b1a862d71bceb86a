"""Linear layers in a loop over time.

Autograd computes the gradient of a weight at every step and sums these gradients: N small products,
N passes over the weight, and N roundings. The fast path records the input of each step and the
gradient of its output. Then it computes the gradient of the weight as one product over all steps,
summed in float32.

Legend: R rows of a step, N steps, I input size, O output size.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from nmt.kernels import dispatch
from nmt.kernels.dispatch import KernelPath
from nmt.kernels.linear.linear_layer import weight_gradient
from nmt.kernels.recurrent.repeated_product import MatricesInLoop, plain_product

Project = Callable[[nn.Linear, Tensor], Tensor]
"""A function that applies a linear layer to inputs [..., I]."""

_Records = dict[int, tuple[Tensor, Tensor]]  # step -> input, gradient of the output


def plain_project(layer: nn.Linear, inputs: Tensor) -> Tensor:
    """Apply a linear layer to inputs [..., I]."""
    return functional.linear(inputs, layer.weight, layer.bias)


def loop_projection() -> Project:
    """Return a function that applies linear layers in the steps of one loop over time.

    Each loop needs a new function, for any number of layers. The weights must not change before the
    backward pass.
    """
    if dispatch.repeated_linear_path() is KernelPath.PLAIN:
        return plain_project
    return _LoopProjection()


def loop_product(
    project: Project, rows: Tensor, matrices: Tensor, *, transposed: bool = False
) -> Tensor:
    """Return rows [B, T, X] times matrices [B, X, Y], or times the transposes of [B, Y, X].

    ``project`` is the function of the loop. All steps of a loop must pass the same tensor object
    ``matrices``.
    """
    if isinstance(project, _LoopProjection):
        return project.product(rows, matrices, transposed)
    return plain_product(rows, matrices, transposed=transposed)


class _LoopProjection:
    """Applies layers and records the inputs and output gradients of each step."""

    def __init__(self) -> None:
        self._layers: dict[nn.Linear, _LayerInLoop] = {}
        self._matrices: dict[tuple[int, bool], MatricesInLoop] = {}

    def product(self, rows: Tensor, matrices: Tensor, transposed: bool) -> Tensor:
        # `MatricesInLoop` keeps the tensor alive, so its id stays unique.
        in_loop = self._matrices.get((id(matrices), transposed))
        if in_loop is None:
            in_loop = MatricesInLoop(matrices, transposed=transposed)
            self._matrices[id(matrices), transposed] = in_loop
        return in_loop(rows)

    def __call__(self, layer: nn.Linear, inputs: Tensor) -> Tensor:
        in_loop = self._layers.get(layer)
        if in_loop is None:
            in_loop = self._layers[layer] = _LayerInLoop(layer.weight, layer.bias)
        return in_loop(inputs)


class _LayerInLoop:
    """The steps of one layer."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        dtype = dispatch.product_dtype(weight)
        self._weight = weight.detach().to(dtype)
        self._bias = None if bias is None else bias.detach().to(dtype)
        self._records: _Records = {}
        self._steps = 0
        self._token = _Gradient.apply(weight, bias, self._records)  # type: ignore[no-untyped-call]

    def __call__(self, inputs: Tensor) -> Tensor:
        with torch.autocast(inputs.device.type, enabled=False):
            result: Tensor = _Step.apply(  # type: ignore[no-untyped-call]
                inputs.to(self._weight.dtype),
                self._token,
                self._weight,
                self._bias,
                self._records,
                self._steps,
            )
        self._steps += 1
        return result


class _Step(torch.autograd.Function):
    """x W^T + b; the backward pass records the input and the gradient of the output.

    The token, an output of `_Gradient`, is an input of every step. So autograd runs the backward
    pass of `_Gradient` after the backward passes of all steps.
    """

    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,
        token: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        records: _Records,
        step: int,
    ) -> Tensor:
        ctx.save_for_backward(inputs, weight)
        ctx.records, ctx.step = records, step
        return functional.linear(inputs, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        inputs, weight = ctx.saved_tensors
        needs_input, needs_token = ctx.needs_input_grad[:2]
        if needs_token:
            ctx.records[ctx.step] = inputs.flatten(0, -2), grad_output.flatten(0, -2)
        grad_input = grad_output @ weight if needs_input else None
        grad_token = None  # means 0; one step must return a tensor
        if needs_token and ctx.step == 0:
            grad_token = grad_output.new_zeros((), dtype=torch.float32)
        return grad_input, grad_token, None, None, None, None


class _Gradient(torch.autograd.Function):
    """Returns a token; the backward pass computes the gradient of the weight from the records."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, bias: Tensor | None, records: _Records) -> Tensor:
        ctx.records, ctx.dtype, ctx.has_bias = records, weight.dtype, bias is not None
        return weight.new_zeros((), dtype=torch.float32)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, _: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        inputs = torch.cat([inputs for inputs, _ in ctx.records.values()])  # [N · R, I]
        grad_outputs = torch.cat([grad for _, grad in ctx.records.values()])  # [N · R, O]
        ctx.records.clear()
        grad_bias = grad_outputs.sum(dim=0, dtype=ctx.dtype) if ctx.has_bias else None
        return weight_gradient(grad_outputs, inputs, ctx.dtype), grad_bias, None
