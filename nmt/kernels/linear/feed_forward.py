"""The feed-forward block of a Transformer with ReLU (Vaswani et al. 2017, eq. 2).

The fast path is one autograd operation. It saves no mask: negative and dropped units are 0 in the
saved hidden vectors.

Legend: N rows, D model size, F feed-forward size.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from nmt.kernels import dispatch, private_torch
from nmt.kernels.dispatch import KernelPath
from nmt.kernels.dropout import DiscreteRate, discrete_rate, dropout
from nmt.kernels.linear.linear_layer import (
    dense_weight,
    linear,
    padded_rows,
    product,
    weight_gradient,
)
from nmt.kernels.linear.quantized_linear import Quantizable


def plain_feed_forward(
    states: Tensor,
    weight_1: Tensor,
    bias_1: Tensor,
    weight_2: Tensor,
    bias_2: Tensor,
    dropout_p: float,
) -> Tensor:
    """Return dropout(max(0, x W_1^T + b_1)) W_2^T + b_2; see `feed_forward`."""
    hidden = functional.linear(states, weight_1, bias_1).relu()
    return functional.linear(dropout(hidden, dropout_p), weight_2, bias_2)


class _FeedForward(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        states: Tensor,
        weight_1: Tensor,
        bias_1: Tensor,
        weight_2: Tensor,
        bias_2: Tensor,
        rate: DiscreteRate,
        dtype: torch.dtype,
    ) -> Tensor:
        rows, ctx.scale = padded_rows(states.reshape(-1, states.size(-1)), dtype), rate.scale
        first, second = weight_1.to(dtype), (weight_2 * ctx.scale).to(dtype)
        hidden = product(rows, first, bias_1.to(dtype), relu=True)
        rate.zero_(hidden)
        ctx.save_for_backward(rows, hidden, first, second)
        ctx.state_dtype, ctx.weight_dtype = states.dtype, weight_1.dtype
        result = product(hidden, second, bias_2.to(dtype))
        return result[: states.shape[:-1].numel()].view(states.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        rows, hidden, first, second = ctx.saved_tensors
        dtype = ctx.weight_dtype
        grad_rows = padded_rows(grad_output.reshape(-1, len(second)), grad_output.dtype)
        grad_weight_2 = weight_gradient(grad_rows, hidden, dtype).mul_(ctx.scale)
        grad_hidden = product(grad_rows, second.t())
        assert private_torch.threshold_backward_ is not None
        private_torch.threshold_backward_(grad_hidden, hidden, 0, grad_input=grad_hidden)
        grad_states = product(grad_hidden, first.t())[: grad_output.shape[:-1].numel()]
        grad_weight_1 = weight_gradient(grad_hidden, rows, dtype)
        grad_bias_1, grad_bias_2 = grad_hidden.sum(dim=0).to(dtype), grad_rows.sum(dim=0).to(dtype)
        grad_states = grad_states.to(ctx.state_dtype).view(grad_output.shape)
        return grad_states, grad_weight_1, grad_bias_1, grad_weight_2, grad_bias_2, None, None


def feed_forward(
    states: Tensor,
    weight_1: Tensor,
    bias_1: Tensor,
    weight_2: Tensor,
    bias_2: Tensor,
    dropout_p: float,
) -> Tensor:
    """Return dropout(max(0, x W_1^T + b_1)) W_2^T + b_2, [..., D], in the autocast dtype.

    Args:
        states: x, [..., D].
        weight_1: [F, D]; both weights may be packed, see `nmt.kernels.linear.weight_layout`.
        bias_1: [F].
        weight_2: [D, F].
        bias_2: [D].
        dropout_p: Probability of dropping a hidden unit; 0 except in training.
    """
    if dispatch.works_in_place(states) and not dropout_p:
        return linear(linear(states, weight_1, bias_1).relu_(), weight_2, bias_2)
    weight_1, weight_2 = dense_weight(weight_1), dense_weight(weight_2)
    if dispatch.feed_forward_path(states) is KernelPath.PLAIN:
        return plain_feed_forward(states, weight_1, bias_1, weight_2, bias_2, dropout_p)
    dtype = dispatch.product_dtype(states)
    with torch.autocast("cpu", enabled=False):
        result: Tensor = _FeedForward.apply(  # type: ignore[no-untyped-call]
            states, weight_1, bias_1, weight_2, bias_2, discrete_rate(dropout_p), dtype
        )
    return result


def feed_forward_of_layers(
    states: Tensor, widen: Quantizable, narrow: Quantizable, dropout_p: float
) -> Tensor:
    """Return `feed_forward` with the parameters of two layers; in int8 if both are quantized."""
    if widen.quantized is not None and narrow.quantized is not None:
        hidden = widen.quantized(states, relu=True)
        return narrow.quantized(hidden, nonnegative=True)
    return feed_forward(states, widen.weight, widen.bias, narrow.weight, narrow.bias, dropout_p)
