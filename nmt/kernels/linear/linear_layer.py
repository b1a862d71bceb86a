"""Linear layers.

On a CPU with autocast, autograd records casts, transpositions and views for each layer. The fast
path is one autograd operation. It saves input and weight in the dtype of the product.

Legend: N rows, I input size, O output size.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from nmt.kernels import dispatch, private_torch
from nmt.kernels.dispatch import KernelPath


def plain_linear(inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return x W^T + b of inputs [..., I], weight [O, I] and bias [O]."""
    return functional.linear(inputs, weight, bias)


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor | None, dtype: torch.dtype
    ) -> Tensor:
        flat = inputs.reshape(-1, inputs.size(-1))
        rows, factor = padded_rows(flat, dtype), weight.to(dtype)
        ctx.save_for_backward(rows, factor)
        ctx.shape, ctx.input_dtype, ctx.weight_dtype = inputs.shape, inputs.dtype, weight.dtype
        result = product(rows, factor, None if bias is None else bias.to(dtype))
        return result[: len(flat)].view(*inputs.shape[:-1], len(weight))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        rows, factor = ctx.saved_tensors
        needs_input, needs_weight, needs_bias = ctx.needs_input_grad[:3]
        count = ctx.shape[:-1].numel()
        grad_rows = padded_rows(grad_output.reshape(count, len(factor)), grad_output.dtype)
        grad_input = None
        if needs_input:
            grad_input = product(grad_rows, factor.t())[:count].to(ctx.input_dtype).view(ctx.shape)
        return (
            grad_input,
            weight_gradient(grad_rows, rows, ctx.weight_dtype) if needs_weight else None,
            grad_rows.sum(dim=0).to(ctx.weight_dtype) if needs_bias else None,
            None,
        )


def _without_graph(
    onednn: Callable[..., Tensor], inputs: Tensor, weight: Tensor, bias: Tensor | None
) -> Tensor:
    """Compute `linear` without gradients, with oneDNN's product."""
    *shape, size = inputs.shape
    count = math.prod(shape)
    padding = -count % dispatch.onednn_multiple(count, inputs.dtype)
    if not padding:
        return onednn(inputs, weight, bias, "none", [], "")
    rows = functional.pad(inputs.reshape(count, size), (0, 0, 0, padding))
    return onednn(rows, weight, bias, "none", [], "")[:count].view(*shape, weight.size(0))


def dense_weight(weight: Tensor) -> Tensor:
    """Return a weight, packed by `nmt.kernels.linear.weight_layout` or not, in torch's layout."""
    return weight.to_dense() if private_torch.is_packed(weight) else weight


def linear(inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return x W^T + b of inputs [..., I], weight [O, I] and bias [O], in the autocast dtype.

    The weight may be packed, see `nmt.kernels.linear.weight_layout`.
    """
    onednn = dispatch.onednn_without_gradients(inputs)
    if onednn is not None:
        return _without_graph(onednn, inputs, weight, bias)
    weight = dense_weight(weight)
    if dispatch.linear_path(inputs) is KernelPath.PLAIN:
        return plain_linear(inputs, weight, bias)
    dtype = dispatch.product_dtype(inputs)
    with torch.autocast("cpu", enabled=False):
        result: Tensor = _Linear.apply(inputs, weight, bias, dtype)  # type: ignore[no-untyped-call]
    return result


def shared_input(inputs: Tensor) -> Tensor:
    """Cast the input of several linear layers once, to the dtype of their products."""
    return inputs.to(dispatch.product_dtype(inputs)) if dispatch.shares_casts(inputs) else inputs


# ------------------------------------------------------- the products of fused functions


def product(
    rows: Tensor, weight: Tensor, bias: Tensor | None = None, *, relu: bool = False
) -> Tensor:
    """Return rows W^T + b, or max(0, rows W^T + b), without gradients; all have one dtype.

    Args:
        rows: [N, I], of any strides.
        weight: [O, I], of any strides.
        bias: [O].
        relu: Whether negative results become 0.
    """
    fused_relu = False
    onednn = dispatch.onednn_linear(rows)
    if onednn is not None:
        fused_relu = relu and _are_finite(rows, weight, bias)  # oneDNN's ReLU turns NaN into 0
        result = onednn(rows, weight, bias, "relu" if fused_relu else "none", [], "")
    else:
        result = functional.linear(rows, weight, bias)
    return result.relu_() if relu and not fused_relu else result


def weight_gradient(grad_output: Tensor, rows: Tensor, dtype: torch.dtype) -> Tensor:
    """Return the gradient [O, I] of a weight, in ``dtype``.

    Args:
        grad_output: [N, O], the gradient of the product.
        rows: [N, I], the product's input.
        dtype: The dtype of the result.
    """
    if grad_output.dtype == torch.bfloat16:  # oneDNN computes this product only in bfloat16
        grad_output = padded_rows(grad_output, grad_output.dtype)
        rows = padded_rows(rows, rows.dtype)
    return (grad_output.t() @ rows).to(dtype)


def padded_rows(rows: Tensor, dtype: torch.dtype) -> Tensor:
    """Cast rows [N, I], and append rows of zeros up to a multiple; see `dispatch.row_multiple`."""
    padding = -len(rows) % dispatch.row_multiple(rows, dtype)
    if not padding:
        return rows.to(dtype)
    padded = rows.new_empty(len(rows) + padding, rows.size(1), dtype=dtype)
    padded[: len(rows)] = rows
    padded[len(rows) :] = 0
    return padded


def _are_finite(*tensors: Tensor | None) -> bool:
    total = sum(tensor.sum(dtype=tensor.dtype) for tensor in tensors if tensor is not None)
    return bool(torch.as_tensor(total).isfinite())
